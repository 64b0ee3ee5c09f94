#!/usr/bin/env bash
# A real SLURM of one node on loopback, with accounting, for the tests.
#
#   cluster.sh start FOLDER    install what is missing, write the configuration, start the daemons
#   cluster.sh stop FOLDER     end them, by their process ids
#
# Needs root on Debian or Ubuntu. Exits with 75 and one line where a cluster cannot be had.
set -euo pipefail

MINE="# Written by afterimage's tests"
CONFIGURATION=/etc/slurm

cannot() {
  echo "$1" >&2
  exit 75
}

install_packages() {
  local missing=()
  for pair in slurmctld:slurm-wlm slurmdbd:slurmdbd mariadbd:mariadb-server munged:munge; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || cannot "no apt-get to install ${missing[*]} with"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } \
    >"$FOLDER/log/apt.log" 2>&1 || cannot "apt-get could not install ${missing[*]}"
}

write_configuration() {
  local host memory
  host=$(hostname -s)
  memory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
  mkdir -p "$CONFIGURATION"
  # At the compiled-in path: a job's inner srun is given no SLURM_CONF.
  # Jobs are held to the memory that they asked for by OverMemoryKill, which needs accounting.
  # config_overrides: four jobs at a time, also on two cores, and each may ask for what it would
  # need at full size.
  cat >"$CONFIGURATION/slurm.conf" <<END
$MINE
ClusterName=afterimage
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
SlurmctldPidFile=$FOLDER/slurmctld.pid
SlurmdPidFile=$FOLDER/slurmd.pid
SlurmctldLogFile=$FOLDER/log/slurmctld.log
SlurmdLogFile=$FOLDER/log/slurmd.log
SlurmdParameters=config_overrides
SchedulerParameters=sched_min_interval=0,sched_interval=2,bf_interval=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=16819
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
ReturnToService=2
MinJobAge=600
KillWait=5
NodeName=node1 NodeHostname=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=$((memory + 65536)) Gres=gpu:1
PartitionName=main Nodes=node1 Default=YES MaxTime=INFINITE State=UP
END
  # A GPU in name: what is tested is that jobs ask for it.
  echo "NodeName=node1 Name=gpu File=/dev/null" >"$CONFIGURATION/gres.conf"
  cat >"$CONFIGURATION/slurmdbd.conf" <<END
$MINE
AuthType=auth/munge
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=16819
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=16820
StorageUser=slurm
StoragePass=afterimage
StorageLoc=slurm
PidFile=$FOLDER/slurmdbd.pid
LogFile=$FOLDER/log/slurmdbd.log
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
END
  chmod 600 "$CONFIGURATION/slurmdbd.conf"
}

until_it_works() {
  for _ in $(seq 120); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.5
  done
  cannot "gave up waiting for: $*"
}

start_munge() {
  munge -n >/dev/null 2>&1 && return
  if [ ! -s /etc/munge/munge.key ]; then
    dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=128 2>/dev/null
    chown munge:munge /etc/munge/munge.key
    chmod 400 /etc/munge/munge.key
  fi
  install -d -o munge -g munge -m 0755 /run/munge
  runuser -u munge -- /usr/sbin/munged
  until_it_works munge -n
  cp /run/munge/munged.pid "$FOLDER/munged.pid"
}

start_accounting() {
  local database=(mariadb --socket="$FOLDER/mariadb.sock")
  mariadb-install-db --no-defaults --user=root --datadir="$FOLDER/database" \
    --auth-root-authentication-method=socket >"$FOLDER/log/mariadb-install.log" 2>&1
  setsid mariadbd --no-defaults --user=root --datadir="$FOLDER/database" --socket="$FOLDER/mariadb.sock" \
    --pid-file="$FOLDER/mariadbd.pid" --bind-address=127.0.0.1 --port=16820 --skip-name-resolve \
    --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 </dev/null >"$FOLDER/log/mariadb.log" 2>&1 &
  until_it_works "${database[@]}" -e "SELECT 1"
  "${database[@]}" -e "CREATE DATABASE slurm;
    CREATE USER slurm@127.0.0.1 IDENTIFIED BY 'afterimage';
    GRANT ALL ON slurm.* TO slurm@127.0.0.1;"
  /usr/sbin/slurmdbd
  until_it_works sacctmgr --immediate --noheader list cluster
  {
    sacctmgr --immediate add cluster afterimage
    sacctmgr --immediate add account maker cluster=afterimage
    sacctmgr --immediate add user "$(id -un)" account=maker
  } >"$FOLDER/log/accounts.log"
}

node_is_ready() {
  sinfo --noheader --format=%T | grep -qE '^(idle|mixed|allocated)$'
}

start() {
  [ "$(id -u)" -eq 0 ] || cannot "starting a SLURM needs root"
  if [ -e "$CONFIGURATION/slurm.conf" ] && ! grep -qxF "$MINE" "$CONFIGURATION/slurm.conf"; then
    cannot "this machine has a SLURM of its own in $CONFIGURATION"
  fi
  if command -v sinfo >/dev/null && timeout 10 sinfo >/dev/null 2>&1; then
    cannot "a SLURM is running on this machine already, perhaps of another run of these tests"
  fi
  mkdir -p "$FOLDER"/{state,spool,log,database}
  install_packages
  write_configuration
  start_munge
  start_accounting
  /usr/sbin/slurmctld -i
  /usr/sbin/slurmd
  until_it_works node_is_ready
  sinfo --Node --format='%N %T %c cores, %m MB, %G'
}

end_jobs() {
  scancel --user="$(id -un)" || return
  for _ in $(seq 40); do
    [ -z "$(squeue --noheader)" ] && return
    sleep 0.25
  done
}

stop() {
  local name pid
  # What was never started here is somebody else's.
  [ -d "$FOLDER/state" ] || return 0
  [ -s "$FOLDER/slurmctld.pid" ] && end_jobs
  for name in slurmd slurmctld slurmdbd mariadbd munged; do
    [ -s "$FOLDER/$name.pid" ] || continue
    pid=$(<"$FOLDER/$name.pid")
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 40); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.25
    done
  done
  grep -qsxF "$MINE" "$CONFIGURATION/slurm.conf" &&
    rm -f "$CONFIGURATION"/{slurm,gres,slurmdbd}.conf
}

FOLDER=$(realpath -m "${2:?folder for the state and the logs}")
case "${1:?start or stop}" in
  start) start ;;
  stop) stop ;;
  *) cannot "start or stop, not $1" ;;
esac

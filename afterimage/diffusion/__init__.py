"""Stable Diffusion through diffusers: pictures and captions encoded, predictions made visible.

One file per idea: `files` finds and checks a model folder without loading it, `configs` reads what
its configuration says, `model` loads the parts that a job needs, `encoding` turns pictures and
captions into latents and back, `captions` averages them, `noise` seeds every picture's own noise,
`sampling` denoises, `batches` finds how much fits, `selection` and `requests` say what a job works
on, `resumable` keeps what an interrupted job has finished, `reconstruction` makes the pictures of
one shard.
"""

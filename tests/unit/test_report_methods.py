"""The methods section: what to cite."""

from importlib import metadata
from pathlib import Path

import yaml

from afterimage.report.methods import citations

CITATION = Path(__file__).parents[2] / "CITATION.cff"


def test_the_reference_to_this_software_is_that_of_its_citation_file():
    given = yaml.safe_load(CITATION.read_text())
    assert given["version"] == metadata.version("afterimage")
    (author,) = given["authors"]
    year = given["date-released"].year
    expected = f"{author['name']} ({year}). {given['title']}. Version {given['version']}."
    assert f"This software: {expected}" in citations({"datasets": {}})

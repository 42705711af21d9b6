"""A contract of ours for import-linter: a feature's inner modules are its own."""

import re
from typing import Any

from importlinter import Contract, ContractCheck, fields, output


class FeatureSurface(Contract):
    """A feature is imported only through its package, never through its inner modules.

    `allowed_importers` wire the product and may reach inside.
    """

    features = fields.ModuleField()
    allowed_importers = fields.SetField(subfield=fields.ModuleField())

    def check(self, graph: Any, verbose: bool) -> ContractCheck:
        features = str(getattr(self.features, "name", self.features))
        allowed = tuple(str(module.name) for module in self.allowed_importers)  # type: ignore[attr-defined]
        broken = [
            f"{importer} -> {imported}"
            for imported in sorted(graph.modules)
            if (own := _feature_of(imported, features)) is not None
            for importer in sorted(graph.find_modules_that_directly_import(imported))
            if not _within(importer, own) and not importer.startswith(allowed)
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["broken"]:
            output.print_error(line, bold=False)


def _feature_of(module: str, features: str) -> str | None:
    """The feature whose inner module this is; None for a feature's package and for the rest."""
    match = re.match(rf"^{re.escape(features)}\.(\w+)\.", module)
    return f"{features}.{match[1]}" if match else None


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")

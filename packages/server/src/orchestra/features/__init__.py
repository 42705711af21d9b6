"""What the product does, one package for each ability; the import order is a contract."""

"""Speed against other packages: one run, the same inputs, correctness first (`python -m pgtfast.bench`)."""

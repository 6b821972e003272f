"""``/studies/<uid>``: one study with its images, findings and what became of them."""

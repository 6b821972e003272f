"""Pneumonia in chest X-rays of children of 1 to 5 years."""

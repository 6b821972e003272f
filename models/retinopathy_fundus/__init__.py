"""Diabetic retinopathy in a fundus photograph: a demonstration."""

"""Normal, benign or malignant appearance of a breast ultrasound picture."""

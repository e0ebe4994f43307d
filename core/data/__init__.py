"""The digits, what augmentation does to them, and the way from the tensor to the device."""

"""What a student works with: stubs, progress."""

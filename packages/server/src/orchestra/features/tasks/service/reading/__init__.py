"""What people and programs see of tasks, why one waits, and the numbers of the installation."""

"""What tasks do with other tasks, people and time: steps, children, questions, waits, trees."""

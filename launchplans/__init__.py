"""When: schedules, fixed inputs, and the reasons for the numbers."""

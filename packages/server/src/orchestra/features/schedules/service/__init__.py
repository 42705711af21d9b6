"""Schedules: their times, their keeping, their firing."""

UPDATE tasks SET moods = array_remove(moods, 'none');

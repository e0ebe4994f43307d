"""What a page does besides what it draws."""

import gc

from pages.ui import frame


def test_loaded_libraries_take_no_time_in_later_collections():
    try:
        frame._import_and_freeze()
        assert gc.get_freeze_count() > 100_000
        assert len(gc.get_objects()) < gc.get_freeze_count() / 10
    finally:
        gc.unfreeze()

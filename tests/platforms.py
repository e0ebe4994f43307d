"""Differences of macOS and Windows from the Linux that the tests run on.

Each has its place in the code and a test that simulates it here. The simulations stand for tests on
those systems, which nobody has run; `stands_for` says what a simulation cannot show.
`test_platforms.py` holds that the list is complete and that its entries exist.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One way in which a system differs.

    Args:
        what: what differs, and where.
        code: where the code handles it: `file: name`.
        simulation: the test that simulates it: `file: name`.
        stands_for: what the simulation replaces, and what it leaves open.
    """

    what: str
    code: str
    simulation: str
    stands_for: str


RUNS = "tests/core/runs"
DIFFERENCES = (
    Difference(
        "Windows refuses to replace a file while another process reads it.",
        "core/runs/files.py: retry_refused",
        f"{RUNS}/test_refusals.py: test_a_run_finishes_though_a_file_is_being_read",
        "PermissionError at the first attempts; how long a virus scanner keeps a file is unknown.",
    ),
    Difference(
        "Windows refuses to rename a folder while a file in it is open.",
        "core/runs/files.py: move",
        f"{RUNS}/test_refusals.py: "
        "test_a_run_is_renamed_deleted_and_restored_though_it_is_being_read",
        "PermissionError at the first attempts.",
    ),
    Difference(
        "Windows cannot flush a folder to the disk.",
        "core/runs/files.py: _sync_folder",
        "tests/test_platforms.py: test_windows_flushes_no_folder",
        "sys.platform; that a rename survives a power failure there is NTFS's promise, not ours.",
    ),
    Difference(
        "Windows takes 260 characters for a path, and says of longer ones that they do not exist.",
        "core/runs/files.py: _to_run_error",
        "tests/test_platforms.py: test_a_path_that_is_too_long_is_named",
        "FileNotFoundError; systems with long paths enabled take more.",
    ),
    Difference(
        "Windows and macOS ignore the case of names.",
        "core/runs/run_names.py: check_name_is_free",
        f"{RUNS}/test_run_names.py: test_names_are_unique_in_any_case",
        "two names that differ in case, refused on every system.",
    ),
    Difference(
        "Where case is ignored, a run can be opened by a name that it does not have.",
        "core/runs/store.py: open_run",
        "tests/test_platforms.py: test_a_run_has_one_name_where_case_is_ignored",
        "Path.exists that ignores case.",
    ),
    Difference(
        "Windows reserves CON, NUL and others, with any ending, and drops dots at a name's end.",
        "core/runs/run_names.py: check_name",
        "tests/test_platforms.py: test_reserved_names_are_refused_everywhere",
        "all reserved names that our alphabet can spell.",
    ),
    Difference(
        "Zip files of Windows have backslashes, drives and reserved names in their paths.",
        "core/runs/archive.py: _unpack",
        f"{RUNS}/test_uploads.py: test_a_path_trick_or_a_second_run_is_refused",
        "such paths; nothing is ever unpacked to a path from a zip.",
    ),
    Difference(
        "Finder and Explorer put files and folders of their own into zips.",
        "core/runs/archive.py: _unpack",
        f"{RUNS}/test_upload_containers.py: test_a_zip_by_finder_is_imported",
        "the containers as those programs write them.",
    ),
    Difference(
        "Finder and Explorer leave .DS_Store, Thumbs.db and desktop.ini in folders.",
        "core/runs/folders.py: list_entries",
        f"{RUNS}/test_store.py: test_foreign_files_and_folders_are_ignored",
        "files of these names.",
    ),
    Difference(
        "Editors on Windows write a byte order mark or UTF-16.",
        "core/json_input.py: parse_json",
        "tests/core/cli/test_main.py: test_rows_are_read_in_any_unicode_encoding",
        "files in these encodings.",
    ),
    Difference(
        "Text files have another encoding by default on Windows.",
        "core/regular_files.py: read_regular_file",
        "tests/test_platforms.py: test_every_text_file_is_opened_with_an_encoding",
        "the source itself: no call leaves the encoding to the system.",
    ),
    Difference(
        "Windows translates line ends and stops at Ctrl-Z unless a file is opened as binary.",
        "core/regular_files.py: _FLAGS",
        "tests/test_platforms.py: test_files_are_opened_as_binary_where_that_is_a_choice",
        "the flags that os has on Windows.",
    ),
    Difference(
        "A console on Windows may have no Unicode.",
        "core/cli/output.py: print_text",
        "tests/core/cli/test_processes.py: test_a_terminal_without_unicode_gets_escapes",
        "ASCII output on this system.",
    ),
    Difference(
        "Closing a console on Windows ends the processes that share it.",
        "core/runs/jobs.py: start",
        f"{RUNS}/test_jobs.py: test_on_windows_a_job_has_a_console_of_its_own",
        "the creation flags; that Windows honours them is not tested.",
    ),
    Difference(
        "Closing a terminal on Linux and macOS ends its session.",
        "core/runs/jobs.py: start",
        f"{RUNS}/test_jobs.py: test_a_job_survives_the_terminal_it_was_started_from",
        "a real pseudo-terminal here; macOS has the same sessions.",
    ),
    Difference(
        "Windows has no SIGHUP.",
        "core/runs/jobs.py: interrupt_on_signals",
        "tests/test_platforms.py: test_a_worker_needs_no_signal_that_windows_lacks",
        "a signal module without it.",
    ),
    Difference(
        "Windows and macOS have no /proc, where a process's start is counted from boot.",
        "core/runs/processes.py: _start_of",
        f"{RUNS}/test_processes.py: test_a_clock_that_is_set_makes_no_process_another_without_proc",
        "psutil's times without /proc, with a clock that is set.",
    ),
    Difference(
        "Each system has its own kind of file lock.",
        "core/runs/jobs.py: hold_lock",
        f"{RUNS}/test_jobs.py: test_a_lock_has_one_holder_and_is_free_when_that_dies",
        "the lock of this system; filelock chooses the others.",
    ),
    Difference(
        "Windows and macOS start processes by spawn, which imports the user's script.",
        "core/data/workers.py: _hidden_main_module",
        "tests/core/data/test_workers.py: "
        "test_a_script_may_leave_its_stream_open_and_lack_a_main_guard",
        "spawn and forkserver on this system.",
    ),
    Difference(
        "Windows and macOS do not say which CPUs a process may use.",
        "core/data/workers.py: available_cpus",
        "tests/test_platforms.py: test_cpus_are_counted_without_affinity",
        "an os module without sched_getaffinity.",
    ),
    Difference(
        "Only glibc has mallopt; Windows cannot even open the process as a library.",
        "core/training/runtime.py: keep_freed_memory",
        "tests/test_platforms.py: test_memory_is_left_to_other_c_libraries",
        "the errors that ctypes raises there.",
    ),
    Difference(
        "Windows and macOS have no /sys/fs/cgroup.",
        "core/limits.py: memory_bytes",
        "tests/test_platforms.py: test_memory_is_the_machines_without_cgroups",
        "paths that do not exist.",
    ),
    Difference(
        "Windows and macOS do not say which CPUs a process may use, also not to the queue.",
        "core/runs/capacity.py: count_cpus",
        "tests/test_platforms.py: test_cpus_are_counted_without_affinity",
        "an os module without sched_getaffinity.",
    ),
    Difference(
        "Windows and macOS have no /dev/nvidia0; cores and memory decide how many runs train.",
        "core/runs/capacity.py: has_gpu",
        "tests/test_platforms.py: test_cores_decide_where_no_gpu_is_seen",
        "a path that does not exist; INKLING_RUNNING allows more.",
    ),
    Difference(
        "Each system names its processor elsewhere.",
        "core/training/format_cache.py: processor_name",
        "tests/test_platforms.py: test_the_processor_is_named_on_every_system",
        "what the other systems answer, and that they answer nothing.",
    ),
    Difference(
        "Each system has another folder for caches.",
        "core/user_cache.py: cache_folder",
        "tests/core/test_user_cache.py: test_the_folder_is_the_systems",
        "the variables of each system.",
    ),
    Difference(
        "Compiled libraries have other endings, and zig has another name.",
        "core/compiler.py: _suffix",
        "tests/test_platforms.py: test_a_compiled_library_has_the_systems_names",
        "sys.platform; that zig compiles there is not tested.",
    ),
    Difference(
        "Windows does not tell who owns a folder by a number.",
        "core/compiler.py: _library_folder",
        "tests/test_platforms.py: test_the_folder_of_libraries_needs_no_user_id",
        "an os module without getuid; home folders are private there by default.",
    ),
    Difference(
        "Windows has another function that gives a core to another thread.",
        "core/compiled/program.py: _give_way",
        "tests/test_platforms.py: test_a_thread_gives_way_by_the_systems_function",
        "a library that has it.",
    ),
    Difference(
        "Windows has local times only from 1970 to 3000, others overflow near the calendar's ends.",
        "core/runs/status.py: parse_time",
        "tests/test_platforms.py: test_times_that_no_time_zone_can_show_are_refused",
        "the ends of the calendar in time zones east and west of here.",
    ),
    Difference(
        "Symbolic links need a privilege on Windows, and may lead out of the folder anywhere.",
        "core/runs/run.py: read_run",
        f"{RUNS}/test_store.py: test_a_link_among_the_runs_is_named_and_not_followed",
        "links on this system; junctions of Windows are followed, and only local users make them.",
    ),
    Difference(
        "Only Linux names its processor in /proc/cpuinfo.",
        "core/training/environment.py: _processor",
        "tests/core/training/test_environment.py: test_a_processor_has_a_name_on_every_system",
        "a system without the file; what macOS and Windows call their processor is theirs.",
    ),
    Difference(
        "Each system has other fonts.",
        "core/charts/diagrams.py: system-ui",
        "tests/test_platforms.py: test_only_generic_fonts_are_named",
        "the source: only families that every system has. Widths of text differ a little.",
    ),
    Difference(
        "~ stands for the home folder in shells of Linux and macOS, but not on Windows.",
        "core/runs/folders.py: checkpoints_folder",
        f"{RUNS}/test_run_names.py: test_a_tilde_in_the_setting_is_the_home_folder",
        "the variable with a tilde.",
    ),
)

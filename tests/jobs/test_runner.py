"""The queue: one child at a time, found again, resumed, stopped; each end told truly."""

import os
import signal
import time
from dataclasses import replace

from steelyard.infra.quiet import give_way
from steelyard.jobs import RUNS, Wish, events, progress_of, read_curves, read_standing, wish
from steelyard.jobs.record import save_progress


def said(queue, job):
    return [event.message for event in events(queue.home, job)]


def test_jobs_are_done_one_after_another_in_the_order_of_their_making(queue):
    second, first = queue.job(2), queue.job(1)
    runner = queue.runner()
    runner.turn()
    assert (queue.status(first), queue.status(second)) == ("running", "queued")
    queue.until(runner, lambda: queue.status(second) == "succeeded")
    assert queue.commands == [(first.id, False), (second.id, False)]
    done = progress_of(queue.home, first)
    assert (done.fine_tuned_model, done.result_file) == (f"version-of-{first.run}", "file-result")
    assert done.started_at <= done.finished_at
    curves = read_curves(queue.home / RUNS / first.run)
    assert list(curves.steps) == [1, 2, 3, 4]
    assert curves.evals == {2: {"loss": 0.25}, 4: {"loss": 0.125}}
    assert runner.turn() is False


def test_a_failed_run_fails_its_job_with_the_runs_own_words(queue):
    job = queue.job()
    queue.arguments[job.id] = ["--fail", "2"]
    queue.until(queue.runner(), lambda: queue.status(job) == "failed")
    assert progress_of(queue.home, job).error == "the loss is not a number at step 2"
    assert len(queue.commands) == 1


def test_a_child_that_refuses_its_recipe_is_not_tried_again(queue):
    job = queue.job()
    queue.arguments[job.id] = ["--refuse"]
    queue.until(queue.runner(), lambda: queue.status(job) == "failed")
    assert progress_of(queue.home, job).error == "the recipe is wrong:\n  train.lr: too large"
    assert len(queue.commands) == 1


def test_a_killed_child_is_resumed_where_it_was(queue):
    job = queue.job()
    queue.arguments[job.id] = ["--wait", str(queue.home / "go")]
    runner = queue.runner()
    folder = queue.home / RUNS / job.run
    queue.until(runner, lambda: (s := read_standing(folder)) is not None and s.step == 2)
    os.kill(progress_of(queue.home, job).pid, signal.SIGKILL)
    (queue.home / "go").touch()
    queue.until(runner, lambda: queue.status(job) == "succeeded")
    assert queue.commands == [(job.id, False), (job.id, True)]
    assert "Training ended early at step 2" in said(queue, job)


def test_a_child_that_always_dies_is_given_up_with_its_last_words(queue):
    job = queue.job()
    queue.arguments[job.id] = ["--die", "1"]
    queue.until(queue.runner(), lambda: queue.status(job) == "failed")
    failed = progress_of(queue.home, job)
    assert failed.error_code == "child_died"
    assert "terminate called without an active exception" in failed.error
    # once to step 1, and three more times without a step
    assert len(queue.commands) <= 5


def test_another_process_takes_the_running_child_over(queue):
    job = queue.job()
    queue.arguments[job.id] = ["--wait", str(queue.home / "go")]
    first = queue.runner()
    first.turn()
    pid = progress_of(queue.home, job).pid
    second = queue.runner()
    second.turn()  # the first holds the queue
    assert progress_of(queue.home, job).pid == pid
    first.close()
    second.turn()
    assert progress_of(queue.home, job).pid == pid
    (queue.home / "go").touch()
    # The child is no child of the second: its end is seen in /proc and its state in the folder.
    queue.until(second, lambda: queue.status(job) == "succeeded")
    assert queue.commands == [(job.id, False)]


def test_a_later_process_of_the_same_number_is_not_taken_for_the_child(queue):
    job = queue.job()
    queue.arguments[job.id] = ["--wait", str(queue.home / "go")]
    first = queue.runner()
    first.turn()
    progress = progress_of(queue.home, job)
    os.kill(progress.pid, signal.SIGKILL)
    first._children._own[progress.pid].wait()
    first.close()
    save_progress(queue.home, job, replace(progress, pid=os.getpid(), pid_started=1))
    (queue.home / "go").touch()
    second = queue.runner()
    queue.until(second, lambda: queue.status(job) == "succeeded")
    assert len(queue.commands) == 2


def test_cancelling_a_queued_job_starts_nothing(queue):
    job = queue.job()
    wish(queue.home, job, Wish.CANCEL)
    queue.runner().turn()
    assert queue.status(job) == "cancelled"
    assert queue.commands == []


def test_cancelling_a_running_job_lets_it_write_its_checkpoint(queue):
    job = queue.job()
    queue.arguments[job.id] = ["--wait", str(queue.home / "never")]
    runner = queue.runner()
    folder = queue.home / RUNS / job.run
    queue.until(runner, lambda: (s := read_standing(folder)) is not None and s.step == 2)
    wish(queue.home, job, Wish.CANCEL)
    queue.until(runner, lambda: queue.status(job) == "cancelled")
    assert read_standing(folder).state == "interrupted"
    assert said(queue, job)[-2:] == ["Training is asked to stop", "The job was cancelled"]


def test_a_paused_job_gives_its_place_away_and_goes_on_later(queue):
    first, second = queue.job(1), queue.job(2)
    queue.arguments[first.id] = ["--wait", str(queue.home / "go")]
    runner = queue.runner()
    folder = queue.home / RUNS / first.run
    queue.until(runner, lambda: (s := read_standing(folder)) is not None and s.step == 2)
    wish(queue.home, first, Wish.PAUSE)
    queue.until(runner, lambda: queue.status(second) == "succeeded")
    assert queue.status(first) == "paused"
    (queue.home / "go").touch()
    wish(queue.home, first, Wish.RUN)
    queue.until(runner, lambda: queue.status(first) == "succeeded")
    assert queue.commands[-1] == (first.id, True)


def test_a_child_gives_way_to_everything_else():
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:  # the priorities are this process's own, so they are tried in another
        give_way()
        policy = os.sched_getscheduler(0)
        os.write(write, f"{os.nice(0)} {policy}".encode())
        os._exit(0)
    os.close(write)
    told = b""
    while part := os.read(read, 100):
        told += part
    os.close(read)
    os.waitpid(pid, 0)
    nice, policy = map(int, told.split())
    assert nice == 19
    assert policy in (os.SCHED_IDLE, os.SCHED_OTHER)  # a container may forbid the first


def test_a_job_that_cannot_be_started_fails_with_the_reason(queue):
    job = queue.job()
    runner = queue.runner()
    (queue.home / RUNS).mkdir(parents=True)
    (queue.home / RUNS / job.run).write_text("a file where a folder should be")
    queue.until(runner, lambda: queue.status(job) == "failed")
    assert time.time() - progress_of(queue.home, job).finished_at < 60

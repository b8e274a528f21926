use std::time::SystemTime;

use super::*;
use crate::proto::TaskState;

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("mesos-framework-tasks-{}", uuid::Uuid::new_v4());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> PathBuf {
        self.0.join("tasks")
    }

    fn store(&self) -> FileTaskStore {
        FileTaskStore::new(self.path())
    }

    /// Without the lock.
    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.ends_with(".lock")).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn task(id: &str, state: TaskState) -> TrackedTask {
    TrackedTask::adopted(id.into(), None, state, SystemTime::UNIX_EPOCH)
}

fn put(id: &str, state: TaskState) -> TaskChange {
    TaskChange::Put(task(id, state))
}

#[tokio::test]
async fn what_was_stored_is_there_for_the_next_store() {
    let folder = Folder::new();
    let store = folder.store();
    assert_eq!(store.load().await.unwrap(), []);
    let running = TaskState::TaskRunning;
    store
        .store(&[put("a", running), put("b", running)])
        .await
        .unwrap();
    let finished = put("a", TaskState::TaskFinished);
    store
        .store(&[finished, TaskChange::Forget("b".into())])
        .await
        .unwrap();
    drop(store);
    let expected = [task("a", TaskState::TaskFinished)];
    assert_eq!(folder.store().load().await.unwrap(), expected);
    assert_eq!(folder.files(), ["tasks"]);
}

#[tokio::test]
async fn changes_that_need_not_last_are_written_with_the_next_that_must() {
    let folder = Folder::new();
    let store = folder.store();
    store.load().await.unwrap();
    let length = || fs::metadata(folder.path()).unwrap().len();
    let empty = length();
    let mut running = task("running", TaskState::TaskRunning);
    running.status = Some(crate::toolkit::testing::status(
        "running",
        "a",
        running.state,
    ));
    let running = TaskChange::Put(running);
    store.store(std::slice::from_ref(&running)).await.unwrap();
    assert_eq!(length(), empty);
    store
        .store(&[put("ended", TaskState::TaskFinished)])
        .await
        .unwrap();
    let both = length();
    assert!(both > empty);
    // Not for ever, and not beyond the store's end.
    for _ in 1..MAX_WAITING {
        store.store(std::slice::from_ref(&running)).await.unwrap();
    }
    assert_eq!(length(), both);
    store
        .store(&[running, TaskChange::Forget("ended".into())])
        .await
        .unwrap();
    assert!(length() > both);
    store
        .store(&[TaskChange::Forget("running".into())])
        .await
        .unwrap();
    assert_eq!(store.load().await.unwrap(), []);
    let last = task("last", TaskState::TaskRunning);
    let mut last = TrackedTask {
        status: Some(crate::toolkit::testing::status("last", "a", last.state)),
        ..last
    };
    store.store(&[TaskChange::Put(last.clone())]).await.unwrap();
    drop(store);
    last.is_unsure = false;
    assert_eq!(folder.store().load().await.unwrap(), [last]);
}

#[tokio::test]
async fn a_file_is_open_once() {
    let folder = Folder::new();
    let first = folder.store();
    first.load().await.unwrap();
    let error = folder.store().load().await.unwrap_err();
    let path = folder.path();
    assert_eq!(
        (error.kind(), error.to_string()),
        (
            ErrorKind::Store,
            format!(
                "tasks in {} cannot be read: another store has opened them",
                path.display()
            )
        )
    );
    drop(first);
    folder.store().load().await.unwrap();
}

#[tokio::test]
async fn a_record_that_was_not_written_to_its_end_is_cut_off() {
    let folder = Folder::new();
    let store = folder.store();
    store
        .store(&[put("a", TaskState::TaskRunning)])
        .await
        .unwrap();
    drop(store);
    let whole = fs::read(folder.path()).unwrap();
    let record = journal::record(&[put("b", TaskState::TaskRunning)]);
    for length in 1..record.len() {
        let torn = [&whole, &record[..length]].concat();
        fs::write(folder.path(), torn).unwrap();
        let store = folder.store();
        assert_eq!(store.load().await.unwrap().len(), 1, "{length} bytes");
        assert_eq!(fs::read(folder.path()).unwrap(), whole, "{length} bytes");
        // And it goes on from there.
        store
            .store(&[put("c", TaskState::TaskRunning)])
            .await
            .unwrap();
        drop(store);
        assert_eq!(folder.store().load().await.unwrap().len(), 2);
        fs::write(folder.path(), &whole).unwrap();
    }
}

#[tokio::test]
async fn a_damaged_file_is_named_and_left_alone() {
    let folder = Folder::new();
    let store = folder.store();
    for id in ["a", "b"] {
        store
            .store(&[put(id, TaskState::TaskFinished)])
            .await
            .unwrap();
    }
    drop(store);
    let mut damaged = fs::read(folder.path()).unwrap();
    damaged[journal::FORM.len() + 15] ^= 1;
    for (content, why) in [
        (&damaged[..], "record at byte 24 is damaged"),
        (b"something else\n", "it is no journal of tasks"),
        (&journal::FORM[..9], "it is no journal of tasks"),
    ] {
        fs::write(folder.path(), content).unwrap();
        let store = folder.store();
        let read = store.load().await.unwrap_err();
        let written = store
            .store(&[put("c", TaskState::TaskRunning)])
            .await
            .unwrap_err();
        let path = folder.path();
        let expected = format!("tasks in {} cannot be read: {why}", path.display());
        assert_eq!(
            (read.kind(), read.to_string()),
            (ErrorKind::Store, expected)
        );
        assert!(written.to_string().ends_with(why), "{written}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_long_journal_is_written_anew_with_what_counts() {
    let folder = Folder::new();
    let store = folder.store();
    let mut large = task("large", TaskState::TaskRunning);
    large.name = "n".repeat(100_000);
    store
        .store(&[put("small", TaskState::TaskRunning)])
        .await
        .unwrap();
    for _ in 0..30 {
        store
            .store(&[TaskChange::Put(large.clone())])
            .await
            .unwrap();
        assert!(fs::metadata(folder.path()).unwrap().len() < WORTH_REWRITING + 200_000);
    }
    store
        .store(&[put("last", TaskState::TaskFinished)])
        .await
        .unwrap();
    drop(store);
    let ids: Vec<_> = folder.store().load().await.unwrap();
    let ids: Vec<_> = ids.iter().map(|task| task.task_id.value.as_str()).collect();
    assert_eq!(ids, ["large", "last", "small"]);
    assert_eq!(folder.files(), ["tasks"]);
}

#[tokio::test]
async fn changes_of_a_dropped_call_are_not_stored_after_later_ones() {
    let folder = Folder::new();
    let store = folder.store();
    for round in 0..50 {
        let id = format!("t-{round}");
        let first = [put(&id, TaskState::TaskRunning)];
        let dropped = store.store(&first);
        // It has begun, and is given up.
        let _ = tokio::time::timeout(std::time::Duration::ZERO, dropped).await;
        store
            .store(&[put(&id, TaskState::TaskFinished)])
            .await
            .unwrap();
    }
    drop(store);
    for task in folder.store().load().await.unwrap() {
        assert_eq!(task.state, TaskState::TaskFinished);
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error() {
    let folder = Folder::new();
    let store = FileTaskStore::new(folder.0.join("missing").join("tasks"));
    let error = store.load().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(
        error.to_string().contains("missing/tasks cannot be read: "),
        "{error}"
    );
}

/// A file system that is full: Linux has a device for it.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_taken_back_or_nothing_further_is_written() {
    let folder = Folder::new();
    let path = folder.path();
    let mut open = Open::new(&path).unwrap();
    let before = open.length;
    open.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = open.append(b"record").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(open.length, before);
    // A device cannot be cut.
    let error = open.append(b"record").unwrap_err();
    assert_eq!(error.to_string(), "an earlier failure left it damaged");
}

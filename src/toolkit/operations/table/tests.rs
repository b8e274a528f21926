use super::*;
use crate::error::ErrorKind;

const SECOND: Duration = Duration::from_secs(1);

/// Asks after 1 s, 2 s, 4 s and 4 s again.
fn table() -> Table {
    let rhythm = Rhythm {
        first: SECOND,
        max: 4 * SECOND,
        unknown: 2,
    };
    Table::new(rhythm, || 1.0)
}

type End = oneshot::Receiver<Result<OperationStatus>>;

fn follow(table: &mut Table, id: &str, agent: &str) -> End {
    let (answer, end) = oneshot::channel();
    let entry = Entry {
        operation: offer::operation::Type::Reserve,
        agent_id: agent.into(),
        provider_id: None,
        answer,
        _room: None,
    };
    table.add(id.into(), entry);
    end
}

fn status(id: &str, state: OperationState) -> OperationStatus {
    OperationStatus {
        operation_id: Some(id.into()),
        state: state.into(),
        message: Some("because".into()),
        ..OperationStatus::default()
    }
}

fn asked(table: &mut Table, now: Instant) -> Vec<String> {
    let (asked, _) = table.due(now);
    asked
        .into_iter()
        .map(|own| own.operation_id.value)
        .collect()
}

#[tokio::test]
async fn operations_end_with_their_status() {
    use OperationState::*;
    let mut table = table();
    let mut end = follow(&mut table, "1", "a");
    table.told(&status("other", OperationFinished));
    table.told(&status("1", OperationPending));
    assert!(end.try_recv().is_err());
    table.told(&status("1", OperationFinished));
    assert_eq!(
        end.try_recv().unwrap().unwrap(),
        status("1", OperationFinished)
    );
    for state in [
        OperationFailed,
        OperationError,
        OperationDropped,
        OperationGoneByOperator,
    ] {
        let mut end = follow(&mut table, "1", "a");
        table.told(&status("1", state));
        let error = end.try_recv().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OperationFailed);
        let expected = format!(
            "operation was not carried out: RESERVE 1 came to {}: because",
            state.as_str_name()
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(OperationFailure::of(&error).unwrap().state(), state);
    }
    assert_eq!(table.len(), 0);
}

#[tokio::test]
async fn what_is_on_its_way_is_not_asked_for() {
    let (mut table, now) = (table(), Instant::now());
    let _end = follow(&mut table, "1", "a");
    table.resubscribed(now);
    assert_eq!(table.due(now + 100 * SECOND).1, None);
    table.sent(&"1".into(), now);
    assert_eq!(table.due(now), (vec![], Some(now + SECOND)));
}

#[tokio::test]
async fn is_asked_for_ever_more_rarely_until_a_new_subscription() {
    let (mut table, mut now) = (table(), Instant::now());
    let _ends = [follow(&mut table, "1", "a"), follow(&mut table, "2", "b")];
    table.sent(&"1".into(), now);
    for wait in [1, 2, 4, 4, 4] {
        assert!(asked(&mut table, now).is_empty());
        now += wait * SECOND;
        assert_eq!(asked(&mut table, now), ["1"]);
    }
    table.sent(&"2".into(), now);
    table.resubscribed(now);
    assert_eq!(asked(&mut table, now), ["1", "2"]);
    assert_eq!(table.due(now).1, Some(now + 2 * SECOND));
    table.agent_lost(&"b".into(), now);
    assert_eq!(asked(&mut table, now), ["2"]);
}

#[tokio::test]
async fn nobody_knows_of_it_only_after_several_answers_in_a_row() {
    use OperationState::*;
    let mut table = table();
    let mut end = follow(&mut table, "1", "a");
    for state in [OperationUnknown, OperationRecovering, OperationUnknown] {
        table.told(&status("1", state));
        assert!(end.try_recv().is_err());
    }
    table.told(&status("1", OperationUnknown));
    let error = end.try_recv().unwrap().unwrap_err();
    assert_eq!(
        OperationFailure::of(&error).unwrap().state(),
        OperationUnknown
    );
}

#[tokio::test]
async fn all_end_with_what_ends_them() {
    let mut table = table();
    let mut ends = [follow(&mut table, "1", "a"), follow(&mut table, "2", "b")];
    table.fail(&"1".into(), &Error::new(ErrorKind::Rejected, "no"));
    table.fail_all(&Error::new(ErrorKind::NotRunning, "over"));
    let kinds = ends
        .each_mut()
        .map(|end| end.try_recv().unwrap().unwrap_err().kind());
    assert_eq!(kinds, [ErrorKind::Rejected, ErrorKind::NotRunning]);
}

#[tokio::test]
async fn what_nobody_waits_for_is_forgotten() {
    let mut table = table();
    let end = follow(&mut table, "1", "a");
    table.forget(&"1".into());
    assert_eq!(table.len(), 1, "somebody waits");
    drop(end);
    table.forget(&"1".into());
    assert_eq!(table.len(), 0);
}

#[test]
fn waits_never_overflow() {
    let endless = Rhythm {
        first: Duration::from_secs(1),
        max: Duration::from_secs(100 * 365 * 24 * 60 * 60),
        unknown: 1,
    };
    assert!(endless.wait(u32::MAX, 0.999) <= endless.max);
}

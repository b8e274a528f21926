//! Numbers, booleans and bytes.

use serde_json::json;

use super::{assert_contains, error, error_of, from_json, read, write};
use crate::proto::{FrameworkInfo, Port, TaskInfo, TaskStatus, TimeInfo, value};

#[test]
fn integers_are_numbers_and_read_from_numeric_strings() {
    let time = TimeInfo {
        nanoseconds: i64::MAX,
    };
    assert_eq!(
        serde_json::to_string(&time).unwrap(),
        r#"{"nanoseconds":9223372036854775807}"#
    );
    for (json, nanoseconds) in [
        (json!(i64::MIN), i64::MIN),
        (json!("9223372036854775807"), i64::MAX),
        (json!(5.0), 5),
        (json!("-5.0"), -5),
        (json!("1e3"), 1000),
    ] {
        assert_eq!(
            read::<TimeInfo>(&json!({"nanoseconds": json})),
            TimeInfo { nanoseconds }
        );
    }
    let range: value::Range = read(&json!({"begin": 0, "end": u64::MAX}));
    assert_eq!(range.end, u64::MAX);
}

#[test]
fn integers_out_of_range_are_refused() {
    for json in [
        json!(u64::MAX),
        json!(9_223_372_036_854_775_808.0),
        json!(1e300),
        json!("9223372036854775808"),
        json!(5.5),
        json!(""),
        json!("0x10"),
        json!("5 s"),
        json!("Infinity"),
        json!(true),
    ] {
        let message = error::<TimeInfo>(&json!({"nanoseconds": json}));
        assert_contains(&message, "expected a whole number of 64 bits");
    }
    for json in [json!(-1), json!(4_294_967_296_i64), json!("-1")] {
        let message = error::<Port>(&json!({"number": json}));
        assert_contains(&message, "expected a whole number of 32 bits without sign");
    }
}

#[test]
fn booleans_are_read_from_words() {
    for (json, checkpoint) in [
        (json!("true"), true),
        (json!("false"), false),
        (json!(true), true),
    ] {
        let info: FrameworkInfo = read(&json!({"user": "root", "name": "x", "checkpoint": json}));
        assert_eq!(info.checkpoint, Some(checkpoint));
    }
}

#[test]
fn doubles_are_read_from_numbers_and_strings() {
    for (json, value) in [
        (json!(15), 15.0),
        (json!(-0.5), -0.5),
        (json!("2.5"), 2.5),
        (json!("15"), 15.0),
        (json!("Infinity"), f64::INFINITY),
        (json!("-Infinity"), f64::NEG_INFINITY),
    ] {
        assert_eq!(read::<value::Scalar>(&json!({"value": json})).value, value);
    }
    assert!(
        read::<value::Scalar>(&json!({"value": "NaN"}))
            .value
            .is_nan()
    );
    for json in [
        json!("inf"),
        json!("infinity"),
        json!("nan"),
        json!(""),
        json!(".5"),
        json!(true),
    ] {
        assert_contains(
            &error::<value::Scalar>(&json!({"value": json})),
            "expected a number",
        );
    }
}

#[test]
fn doubles_are_written_with_a_point_or_as_the_word_that_mesos_reads() {
    for (value, text) in [
        (15.0, r#"{"value":15.0}"#),
        (1_795_348_626.375_624, r#"{"value":1795348626.375624}"#),
        (f64::INFINITY, r#"{"value":"Infinity"}"#),
        (f64::NEG_INFINITY, r#"{"value":"-Infinity"}"#),
        (f64::NAN, r#"{"value":"NaN"}"#),
    ] {
        assert_eq!(
            serde_json::to_string(&value::Scalar { value }).unwrap(),
            text
        );
    }
}

#[test]
fn bare_words_of_mesos_are_read() {
    let text = br#"{"name":"a \"NaN, -Infinity","task_id":{"value":"Infinity"},"agent_id":{"value":"\\"},
        "limits":{"cpus":{"value":Infinity},"mem":{"value": -Infinity },"NaN":{"value":NaN}},"news":[NaN,-Infinity]}"#;
    let task: TaskInfo = from_json(text).unwrap();
    assert_eq!(task.name, "a \"NaN, -Infinity");
    assert_eq!(task.task_id.value, "Infinity");
    assert_eq!(task.agent_id.value, "\\");
    assert_eq!(task.limits["cpus"].value, f64::INFINITY);
    assert_eq!(task.limits["mem"].value, f64::NEG_INFINITY);
    assert!(task.limits["NaN"].value.is_nan());
}

#[test]
fn bare_words_do_not_hide_other_faults() {
    for text in [
        "Infinity",
        "[NaN]",
        "{NaN",
        r#"{"value":NaN"#,
        r#"{"value":NaN,}"#,
        r#"{"value":"NaN"#,
    ] {
        error_of::<value::Scalar>(text.as_bytes());
    }
    let message = error_of::<value::Scalar>(br#"{"value":--Infinity}"#);
    assert_contains(&message, "invalid number");
}

#[test]
fn bytes_are_padded_base64() {
    let status = TaskStatus {
        data: Some(vec![0xfb, 0xff, 0xbf, 0x00].into()),
        ..TaskStatus::default()
    };
    assert_eq!(write(&status)["data"], json!("+/+/AA=="));
    for text in [
        "+/+/AA==",
        "+/+/AA",
        "+/+/AA=",
        " +/+\n/\tAA == \r\u{b}\u{c}",
    ] {
        let json = json!({"task_id": {"value": "t"}, "state": "TASK_LOST", "data": text});
        assert_eq!(read::<TaskStatus>(&json).data, status.data);
    }
    for text in ["-_-_AA==", "A", "AA==AA", "ä", "AA*="] {
        let json = json!({"task_id": {"value": "t"}, "state": "TASK_LOST", "data": text});
        assert_contains(
            &error::<TaskStatus>(&json),
            "data: expected a string in base64",
        );
    }
}

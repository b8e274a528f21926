//! `Resources` beside Mesos's own class: a table of its answers, which it must give again if there is a kit.

use mesos_framework::resources::Resources;
use prost::Message as _;

use crate::resource_notation::{Argument, Oracle, operation, reservation, resource, resources};

const TABLE: &str = include_str!("resource_table.txt");

/// Fewer would be no table of the whole class.
const LEAST: usize = 250;

/// A line of the table.
struct Case<'a> {
    question: char,
    left: &'a str,
    right: &'a str,
    answer: Result<&'a str, &'a str>,
}

fn cases() -> Vec<Case<'static>> {
    let lines = TABLE.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut fields = line.splitn(4, " | ");
            let mut next = || fields.next().unwrap_or_else(|| panic!("no case: {line}"));
            let question = next().parse().unwrap();
            let (left, right, answer) = (next(), next(), next());
            let answer = answer.strip_prefix('!').map_or(Ok(answer), Err);
            Case {
                question,
                left,
                right,
                answer,
            }
        })
        .collect()
}

impl Case<'_> {
    fn ours(&self) -> Result<String, String> {
        let left = || Resources::from_unchecked(&resources(self.left));
        let right = || Resources::from_unchecked(&resources(self.right));
        match self.question {
            'p' => said(Resources::parse(self.left)),
            '+' => Ok((left() + right()).to_string()),
            '-' => Ok((left() - right()).to_string()),
            'c' => Ok(left().contains(&right()).to_string()),
            'f' => left()
                .find(&right())
                .map(|own| own.to_string())
                .map_err(|_| String::new()),
            'u' => said(left().push_reservation(&reservation(self.right))),
            'x' => said(left().pop_reservation()),
            'o' => said(left().apply(&operation(self.right))),
            'v' => match Resources::validate(&[resource(self.left)]) {
                Ok(()) => Ok(String::new()),
                Err(error) => Err(error.to_string()),
            },
            other => panic!("no question {other}"),
        }
    }

    fn theirs(&self, oracle: &mut Oracle) -> Result<String, String> {
        let (left, right) = match self.question {
            'p' => (Vec::new(), Vec::new()),
            'u' | 'o' | 'x' | 'v' => (resources(self.left), Vec::new()),
            _ => (resources(self.left), resources(self.right)),
        };
        let list = Argument::List(&left);
        let arguments = match self.question {
            'p' => vec![Argument::Bytes(self.left.as_bytes().to_vec())],
            'v' => vec![Argument::Bytes(left[0].encode_to_vec())],
            'x' => vec![list],
            'u' => vec![
                list,
                Argument::Bytes(reservation(self.right).encode_to_vec()),
            ],
            'o' => vec![list, Argument::Bytes(operation(self.right).encode_to_vec())],
            _ => vec![list, Argument::List(&right)],
        };
        oracle.ask(self.question, &arguments)
    }
}

fn said(result: mesos_framework::Result<Resources>) -> Result<String, String> {
    result
        .map(|own| own.to_string())
        .map_err(|error| error.to_string())
}

#[test]
fn computes_as_the_table_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let ours = case.ours();
        // Ours says before Mesos's words what they are about.
        let is_right = match (&ours, case.answer) {
            (Ok(own), Ok(answer)) => own == answer,
            (Err(own), Err(answer)) => own.ends_with(answer),
            _ => false,
        };
        if !is_right {
            let (question, left, right) = (case.question, case.left, case.right);
            let answer = case.answer;
            wrong.push(format!(
                "{question} | {left} | {right} | {ours:?}, not {answer:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_is_what_mesos_says() {
    assert!(cases().len() >= LEAST, "{} cases", cases().len());
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    for case in cases() {
        let theirs = case.theirs(&mut oracle);
        let answer = case.answer.map(str::to_owned).map_err(str::to_owned);
        let (question, left, right) = (case.question, case.left, case.right);
        assert_eq!(theirs, answer, "{question} | {left} | {right}");
    }
}

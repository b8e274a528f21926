//! What an agent must be like, whoever else is there.

use std::fmt;

use super::place::{Field, Place};
use super::value::{Value, thousandths};

/// What the value of a [`Field`] must be like.
///
/// Of an attribute whose name repeats, one value that is so is enough. Negated by `!`; an agent without such a value
/// satisfies nothing but negations.
///
/// # Examples
/// ```
/// use mesos_framework::toolkit::matching::Operator;
///
/// let racks = Operator::one_of(["r1", "r2"]);
/// assert_eq!(racks.to_string(), "in r1, r2");
/// assert_eq!((!racks).to_string(), "not in r1, r2");
/// ```
///
/// Source: `AttributeConstraint.Predicate`, scheduler.proto, which masters evaluate before they offer anything.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operator {
    /// There is a value.
    Exists,
    /// It is this one. What an agent took for a number also equals its text.
    Equals(Value),
    /// It is one of these.
    In(Vec<Value>),
    /// It is a number not below this one.
    AtLeast(f64),
    /// It is a number not above this one.
    AtMost(f64),
    /// It is ranges or a set, and has all these numbers or items.
    Contains(Value),
    /// It is not so.
    Not(Box<Self>),
}

impl Operator {
    /// [`Equals`](Self::Equals).
    #[must_use]
    pub fn equals(value: impl Into<Value>) -> Self {
        Self::Equals(value.into())
    }

    /// [`In`](Self::In).
    #[must_use]
    pub fn one_of<T: Into<Value>>(values: impl IntoIterator<Item = T>) -> Self {
        Self::In(values.into_iter().map(Into::into).collect())
    }

    /// [`Contains`](Self::Contains).
    #[must_use]
    pub fn contains(value: impl Into<Value>) -> Self {
        Self::Contains(value.into())
    }

    fn holds_of(&self, values: &[Value]) -> bool {
        let number = |own: &Value| match own {
            Value::Scalar(number) => Some(thousandths(*number)),
            _ => None,
        };
        let mut values = values.iter();
        match self {
            Self::Exists => values.next().is_some(),
            Self::Equals(wanted) => values.any(|own| own.is(wanted)),
            Self::In(wanted) => values.any(|own| wanted.iter().any(|wanted| own.is(wanted))),
            Self::AtLeast(least) => {
                values.any(|own| number(own).is_some_and(|own| own >= thousandths(*least)))
            }
            Self::AtMost(most) => {
                values.any(|own| number(own).is_some_and(|own| own <= thousandths(*most)))
            }
            Self::Contains(wanted) => values.any(|own| own.contains(wanted)),
            Self::Not(operator) => !operator.holds_of(values.as_slice()),
        }
    }
}

impl std::ops::Not for Operator {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Not(operator) => *operator,
            operator => Self::Not(Box::new(operator)),
        }
    }
}

/// `equals r1`, `not in r1, r2`.
impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("exists"),
            Self::Equals(value) => write!(f, "equals {value}"),
            Self::In(values) => {
                let shown: Vec<String> = values.iter().map(Value::to_string).collect();
                write!(f, "in {}", shown.join(", "))
            }
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::Contains(value) => write!(f, "contains {value}"),
            Self::Not(operator) => write!(f, "not {operator}"),
        }
    }
}

/// A field, and what it must be like.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// What is looked at.
    pub field: Field,
    /// What it must be like.
    pub operator: Operator,
}

impl Constraint {
    /// Whether `place` satisfies it.
    #[must_use]
    pub fn holds_of(&self, place: &Place) -> bool {
        self.operator.holds_of(&self.field.values(place))
    }
}

/// `attribute rack equals r1`.
impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.operator)
    }
}

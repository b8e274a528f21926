//! What a task needs.

use super::constraint::{Constraint, Operator};
use super::place::Field;
use super::rule::Rule;
use crate::proto::TaskInfo;
use crate::resources::Request;

/// What a task needs to run: resources, an agent of some kind, other tasks near or far.
///
/// # Examples
/// ```
/// use mesos_framework::resources::Request;
/// use mesos_framework::toolkit::matching::{Field, Needs, Operator, Rule};
///
/// let needs = Needs::new(Request::new().cpus(0.5).mem(128.0).ports(1))
///     .attribute("rack", !Operator::equals("r7"))
///     .zone(Operator::one_of(["a", "b"]))
///     .group("web")
///     .rule(Rule::unique(Field::Hostname));
/// assert_eq!(needs.constraints().len(), 2);
/// ```
///
/// Source: `TaskInfo` and `Offer`, mesos.proto; constraints of frameworks such as Marathon and Aurora.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    pub(super) request: Request,
    pub(super) role: Option<String>,
    pub(super) constraints: Vec<Constraint>,
    pub(super) is_lasting: bool,
    pub(super) group: String,
    pub(super) rules: Vec<Rule>,
}

impl Needs {
    /// Nothing but resources, of any agent.
    ///
    /// The master refuses a task that asks for none, and so does a [`Matcher`](super::Matcher).
    #[must_use]
    pub fn new(request: Request) -> Self {
        Self {
            request,
            ..Self::default()
        }
    }

    /// Only offers that are allocated to `role`, for frameworks of several roles. Offers of masters that do not say to which
    /// role they are allocated are taken for any. Default: all offers.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// One more thing that an agent must be like; all must hold.
    #[must_use]
    pub fn constraint(mut self, field: Field, operator: Operator) -> Self {
        self.constraints.push(Constraint { field, operator });
        self
    }

    /// [`constraint`](Self::constraint) on the attribute called `name`.
    #[must_use]
    pub fn attribute(self, name: &str, operator: Operator) -> Self {
        self.constraint(Field::attribute(name), operator)
    }

    /// [`constraint`](Self::constraint) on the hostname.
    #[must_use]
    pub fn hostname(self, operator: Operator) -> Self {
        self.constraint(Field::Hostname, operator)
    }

    /// [`constraint`](Self::constraint) on the agent's region.
    #[must_use]
    pub fn region(self, operator: Operator) -> Self {
        self.constraint(Field::Region, operator)
    }

    /// [`constraint`](Self::constraint) on the agent's zone.
    #[must_use]
    pub fn zone(self, operator: Operator) -> Self {
        self.constraint(Field::Zone, operator)
    }

    /// No agent for which maintenance is planned, whenever that is.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.is_lasting = true;
        self
    }

    /// Names the group that the task belongs to, whose tasks rules count. Tasks that name none are of one group, too, whose
    /// name is empty.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = group.into();
        self
    }

    /// One more rule; all must hold.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// What it asks for.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// What its agent must be like.
    #[must_use]
    pub fn constraints(&self) -> &[Constraint] {
        &self.constraints
    }

    /// What other tasks it looks at.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// A task that waits for a place.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingTask {
    /// The task as it is to be launched. Its agent and resources do not matter: they are what it is given.
    ///
    /// The resources of its executor, if it has one, are amounts that are wanted, too, once per agent; they are found in
    /// the offer as [`Resources::find`](crate::resources::Resources::find) does. Where an executor of that id runs already,
    /// nothing more is taken for it and its `ExecutorInfo` stays as it is, for it must be the very same.
    pub info: TaskInfo,
    /// What it needs.
    pub needs: Needs,
}

impl PendingTask {
    /// `info`, once there is what it `needs`.
    #[must_use]
    pub fn new(info: TaskInfo, needs: Needs) -> Self {
        Self { info, needs }
    }
}

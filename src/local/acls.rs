//! [`Acls`]: who may do what.

use super::acl_json;
use crate::error::{Error, ErrorKind, Result};

/// What ends a rule's value that means all roles below another: `eng/%`.
const BELOW: &str = "/%";

/// Who may do what, as a master's local authorizer decides it; default: everybody everything.
///
/// A rule is about one [action](AclAction): which principals it is for, and which objects. The first rule of the action that
/// fits a request decides. A principal or object that is [`Any`](AclEntity::Any) in the rule fits and is allowed; one that is
/// among [`Some`](AclEntity::Some) likewise; [`None`](AclEntity::None) fits, and is refused. What no rule fits is allowed,
/// unless they are [restrictive](Self::restrictive). A requester without a principal fits only `Any` and `None`; so does a
/// request about no object in particular.
///
/// # Examples
/// Only `ops` may subscribe under `prod` and the roles below it; others under every other role.
/// ```
/// use mesos_framework::local::{AclAction, AclEntity, Acls};
///
/// let roles = || AclEntity::some(["prod", "prod/%"]);
/// let acls = Acls::new()
///     .rule(AclAction::RegisterFrameworks, AclEntity::some(["ops"]), roles())
///     .rule(AclAction::RegisterFrameworks, AclEntity::None, roles());
/// let same = Acls::parse(
///     r#"{"register_frameworks": [
///         {"principals": {"values": ["ops"]}, "roles": {"values": ["prod", "prod/%"]}},
///         {"principals": {"type": "NONE"}, "roles": {"values": ["prod", "prod/%"]}}
///     ]}"#,
/// )?;
/// assert_eq!(acls, same);
/// # Ok::<(), mesos_framework::Error>(())
/// ```
///
/// Source: `message ACLs`, `include/mesos/authorizer/acls.proto`, and `src/authorizer/local/authorizer.cpp`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acls {
    is_restrictive: bool,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    action: AclAction,
    principals: AclEntity,
    objects: AclEntity,
}

/// Those whom, or that which, a rule is about.
///
/// Source: `ACL.Entity`, `acls.proto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AclEntity {
    /// All, with and without a name: they may.
    Any,
    /// All: they may not.
    None,
    /// These: they may. Among roles, `eng/%` is all those below `eng`.
    Some(Vec<String>),
}

impl AclEntity {
    /// [`Some`](Self::Some) of these.
    pub fn some<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Self {
        Self::Some(values.into_iter().map(Into::into).collect())
    }

    /// Whether a rule with it is for `asked`; `None` is nobody in particular.
    fn fits(&self, asked: Option<&str>) -> bool {
        match (self, asked) {
            (Self::Any | Self::None, _) => true,
            (Self::Some(values), Some(asked)) => values.iter().any(|value| value == asked),
            (Self::Some(_), None) => false,
        }
    }

    /// Likewise, of roles.
    fn fits_role(&self, asked: Option<&str>) -> bool {
        let is_below = |value: &String| {
            let above = value.strip_suffix(BELOW);
            let rest = asked.zip(above);
            rest.is_some_and(|(asked, above)| {
                asked
                    .strip_prefix(above)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
        };
        match self {
            Self::Some(values) => self.fits(asked) || values.iter().any(is_below),
            Self::Any | Self::None => true,
        }
    }

    /// Whether a rule that fits lets it pass.
    fn allows(&self) -> bool {
        !matches!(self, Self::None)
    }
}

/// What the objects of an action are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Objects {
    Roles,
    /// Principals or users.
    Names,
    /// All or none of them; they are not told apart.
    All,
}

/// What may be allowed or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AclAction {
    /// To subscribe under roles.
    RegisterFrameworks,
    /// To launch tasks as users: of the task's command, else of its executor's, else of the framework.
    RunTasks,
    /// To end frameworks of principals, as an operator.
    TeardownFrameworks,
    /// To reserve for roles.
    ReserveResources,
    /// To give up reservations that principals have made.
    UnreserveResources,
    /// To make volumes of what is reserved for roles.
    CreateVolumes,
    /// To remove volumes that principals have made.
    DestroyVolumes,
    /// To grow and shrink volumes of what is reserved for roles.
    ResizeVolumes,
    /// To see the quota of roles.
    GetQuotas,
    /// To set and remove the quota of roles.
    UpdateQuotas,
    /// To see roles, their weights, and what is reserved for them or allocated to them.
    ViewRoles,
    /// To set the weights of roles.
    UpdateWeights,
    /// To see frameworks that run as users.
    ViewFrameworks,
    /// To see tasks that run as users.
    ViewTasks,
    /// To see executors that run as users.
    ViewExecutors,
    /// To plan the maintenance of machines.
    UpdateMaintenanceSchedules,
    /// To see the plan.
    GetMaintenanceSchedules,
    /// To take machines down.
    StartMaintenances,
    /// To bring machines up again.
    StopMaintenances,
    /// To see which machines drain or are down.
    GetMaintenanceStatuses,
    /// To drain agents.
    DrainAgents,
    /// To deactivate agents.
    DeactivateAgents,
    /// To reactivate agents.
    ReactivateAgents,
    /// To declare agents gone.
    MarkAgentsGone,
}

impl AclAction {
    pub(super) const ALL: [Self; 24] = [
        Self::RegisterFrameworks,
        Self::RunTasks,
        Self::TeardownFrameworks,
        Self::ReserveResources,
        Self::UnreserveResources,
        Self::CreateVolumes,
        Self::DestroyVolumes,
        Self::ResizeVolumes,
        Self::GetQuotas,
        Self::UpdateQuotas,
        Self::ViewRoles,
        Self::UpdateWeights,
        Self::ViewFrameworks,
        Self::ViewTasks,
        Self::ViewExecutors,
        Self::UpdateMaintenanceSchedules,
        Self::GetMaintenanceSchedules,
        Self::StartMaintenances,
        Self::StopMaintenances,
        Self::GetMaintenanceStatuses,
        Self::DrainAgents,
        Self::DeactivateAgents,
        Self::ReactivateAgents,
        Self::MarkAgentsGone,
    ];

    pub(super) fn objects(self) -> Objects {
        acl_json::of(self).objects
    }
}

impl Acls {
    /// Without rules: everybody may do everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads Mesos's JSON form.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], telling what is wrong, for what is not JSON or not of that form, for a field that `ACLs` does
    /// not have, and for one that is about something which this cluster does not refuse to anybody.
    ///
    /// Source: `--acls` of the master.
    pub fn parse(json: &str) -> Result<Self> {
        acl_json::parse(json)
    }

    /// Adds a rule, behind those that there are: whether `principals` may do `action` to `objects`.
    #[must_use]
    pub fn rule(mut self, action: AclAction, principals: AclEntity, objects: AclEntity) -> Self {
        self.rules.push(Rule {
            action,
            principals,
            objects,
        });
        self
    }

    /// Refuses what no rule fits.
    ///
    /// Source: `permissive` of `ACLs`.
    #[must_use]
    pub fn restrictive(mut self) -> Self {
        self.is_restrictive = true;
        self
    }

    /// What is allowed where no rule fits.
    pub(super) fn is_permissive(&self) -> bool {
        !self.is_restrictive
    }

    /// Whether `principal` may do it to `object`. `None` is nobody, or nothing, in particular.
    pub(super) fn allows(
        &self,
        principal: Option<&str>,
        action: AclAction,
        object: Option<&str>,
    ) -> bool {
        let fits = |objects: &AclEntity| match action.objects() {
            Objects::Roles => objects.fits_role(object),
            Objects::Names | Objects::All => objects.fits(object),
        };
        let mut rules = self.rules.iter();
        let first = rules.find(|rule| {
            rule.action == action && rule.principals.fits(principal) && fits(&rule.objects)
        });
        first.map_or(self.is_permissive(), |rule| {
            rule.principals.allows() && rule.objects.allows()
        })
    }

    /// Some actions do not tell their objects apart.
    pub(super) fn check(&self) -> Result<()> {
        let mut rules = self.rules.iter();
        let wrong = rules.find(|rule| {
            rule.action.objects() == Objects::All && matches!(rule.objects, AclEntity::Some(_))
        });
        match wrong {
            Some(rule) => {
                let name = acl_json::of(rule.action).message;
                let context = format!(
                    "acls of a local cluster cannot be: ACL.{name} type must be either NONE or ANY"
                );
                Err(Error::new(ErrorKind::Config, context))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_decides() {
        let users = |names: &[&str]| AclEntity::some(names.iter().copied());
        let acls = Acls::new()
            .rule(AclAction::RunTasks, users(&["ann"]), users(&["root"]))
            .rule(AclAction::RunTasks, AclEntity::None, users(&["root"]))
            .rule(AclAction::RunTasks, users(&["bob"]), AclEntity::None);
        let may = |who, user| acls.allows(who, AclAction::RunTasks, user);
        assert!(may(Some("ann"), Some("root")));
        assert!(!may(Some("bob"), Some("root")));
        assert!(!may(None, Some("root")));
        assert!(!may(Some("bob"), Some("bob")));
        assert!(may(Some("ann"), Some("ann")));
        let strict = acls.clone().restrictive();
        assert!(!strict.allows(Some("ann"), AclAction::RunTasks, Some("ann")));
        assert!(strict.allows(Some("ann"), AclAction::RunTasks, Some("root")));
    }

    #[test]
    fn nothing_in_particular_fits_any_and_none() {
        let none = Acls::new().rule(AclAction::DrainAgents, AclEntity::Any, AclEntity::None);
        assert!(!none.allows(None, AclAction::DrainAgents, None));
        assert!(none.allows(None, AclAction::MarkAgentsGone, None));
        let some = AclEntity::some(["ops"]);
        let some = Acls::new().rule(AclAction::DrainAgents, some, AclEntity::Any);
        assert!(some.allows(None, AclAction::DrainAgents, None));
        assert!(
            !some
                .restrictive()
                .allows(None, AclAction::DrainAgents, None)
        );
    }

    #[test]
    fn roles_may_be_named_with_all_below_them() {
        let roles = AclEntity::some(["eng/%", "ads"]);
        let acls = Acls::new()
            .rule(AclAction::ViewRoles, AclEntity::Any, roles)
            .restrictive();
        let may = |role| acls.allows(None, AclAction::ViewRoles, Some(role));
        assert!(may("eng/dev") && may("eng/dev/one") && may("ads"));
        assert!(!may("eng") && !may("engine") && !may("ads/one"));
    }

    #[test]
    fn objects_that_are_not_told_apart_cannot_be_named() {
        let agents = AclEntity::some(["one"]);
        let acls = Acls::new().rule(AclAction::DrainAgents, AclEntity::Any, agents);
        let error = acls.check().unwrap_err().to_string();
        assert!(
            error.contains("ACL.DrainAgent type must be either NONE or ANY"),
            "{error}"
        );
    }
}

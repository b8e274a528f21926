//! Commands, and what they see.

use bytes::Bytes;

use crate::proto::{CommandInfo, Environment, Secret, command_info, environment, secret};

impl CommandInfo {
    /// A command line for `/bin/sh -c`.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::proto::CommandInfo;
    /// use mesos_framework::proto::command_info::Uri;
    ///
    /// let command = CommandInfo::in_shell("./serve --port $PORT0")
    ///     .env("PORT0", "31000")
    ///     .uri(Uri { executable: Some(true), ..Uri::new("http://files.example/serve") });
    /// assert!(command.shell());
    /// let same = CommandInfo::argv(["./serve", "--port", "31000"]);
    /// assert_eq!(same.arguments.len(), 3);
    /// ```
    ///
    /// Source: `CommandInfo`, mesos.proto, with `shell`.
    pub fn in_shell(command: impl Into<String>) -> Self {
        Self {
            shell: Some(true),
            value: Some(command.into()),
            ..Self::default()
        }
    }

    /// A program and its arguments, without a shell. The first of `arguments` is the program, and what it sees as its name;
    /// without any, the command is none.
    ///
    /// Source: `CommandInfo`, mesos.proto, without `shell`: `arguments` begin with `argv[0]`.
    pub fn argv<T: Into<String>>(arguments: impl IntoIterator<Item = T>) -> Self {
        let arguments: Vec<String> = arguments.into_iter().map(Into::into).collect();
        Self {
            shell: Some(false),
            value: arguments.first().cloned(),
            arguments,
            ..Self::default()
        }
    }

    /// One more variable of the environment.
    ///
    /// Source: `Environment.Variable`, mesos.proto.
    #[must_use]
    pub fn env(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variable(environment::Variable {
            name: name.into(),
            r#type: Some(environment::variable::Type::Value.into()),
            value: Some(value.into()),
            secret: None,
        })
    }

    /// One more variable of the environment, whose value the agent looks up.
    ///
    /// Source: `Environment.Variable` of type SECRET, mesos.proto; `docs/secrets.md` of Apache Mesos 1.11.0.
    #[must_use]
    pub fn secret_env(self, name: impl Into<String>, secret: Secret) -> Self {
        self.variable(environment::Variable {
            name: name.into(),
            r#type: Some(environment::variable::Type::Secret.into()),
            value: None,
            secret: Some(secret),
        })
    }

    fn variable(mut self, variable: environment::Variable) -> Self {
        let environment = self
            .environment
            .get_or_insert_with(|| Environment { variables: vec![] });
        environment.variables.push(variable);
        self
    }

    /// One more file that the agent fetches into the sandbox before.
    ///
    /// Source: `CommandInfo.uris`, mesos.proto; `docs/fetcher.md` of Apache Mesos 1.11.0.
    #[must_use]
    pub fn uri(mut self, uri: command_info::Uri) -> Self {
        self.uris.push(uri);
        self
    }

    /// As that user of the agent's machine.
    ///
    /// Source: `CommandInfo.user`, mesos.proto.
    #[must_use]
    pub fn run_as(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }
}

impl command_info::Uri {
    /// A file to be fetched: an URL, or a path on the agent's machine. Archives are unpacked.
    pub fn new(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            ..Self::default()
        }
    }
}

impl Secret {
    /// A secret that the agent's resolver knows under `name`, and there under `key`.
    ///
    /// Source: `Secret` of type REFERENCE, mesos.proto.
    pub fn reference(name: impl Into<String>, key: Option<&str>) -> Self {
        Self {
            r#type: Some(secret::Type::Reference.into()),
            reference: Some(secret::Reference {
                name: name.into(),
                key: key.map(str::to_owned),
            }),
            value: None,
        }
    }

    /// A secret that is told here.
    ///
    /// Source: `Secret` of type VALUE, mesos.proto.
    pub fn value(data: impl Into<Bytes>) -> Self {
        Self {
            r#type: Some(secret::Type::Value.into()),
            reference: None,
            value: Some(secret::Value { data: data.into() }),
        }
    }
}

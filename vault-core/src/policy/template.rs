//! Templates in rules' paths: `secret/data/{{identity.entity.id}}/*`, expanded by what is known of the caller.
//!
//! What is not known, is empty, or could change the meaning of the path makes the rule match nothing.

use crate::types::{Code, Error, Object, Result, Value};
use std::collections::BTreeMap;

/// What is known of a caller, for templates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateFacts {
    /// The caller's entity.
    pub entity: Option<EntityFacts>,
    /// The groups that the entity is in, and no others.
    pub groups: Vec<GroupFacts>,
}

/// What is known of an entity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityFacts {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Its aliases, by the accessors of their mounts.
    pub aliases: BTreeMap<String, AliasFacts>,
}

/// What is known of an entity's alias.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AliasFacts {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What the auth method says of it.
    pub metadata: BTreeMap<String, String>,
    /// What whoever wrote the alias says of it.
    pub custom_metadata: BTreeMap<String, String>,
}

/// What is known of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFacts {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
}

/// A path with places for values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Literal(String),
    Value(Subject, Field),
}

#[derive(Clone, Debug, PartialEq)]
enum Subject {
    Entity,
    Alias { accessor: String },
    GroupById { id: String },
    GroupByName { name: String },
}

#[derive(Clone, Debug, PartialEq)]
enum Field {
    Id,
    Name,
    Metadata(String),
    /// Aliases alone have it.
    CustomMetadata(String),
}

impl Template {
    /// Reads a path; `None` where it has no template.
    pub(super) fn parse(path: &str) -> Result<Option<Self>, &'static str> {
        let mut pieces = Vec::new();
        let mut rest = path;
        while let Some((literal, behind)) = rest.split_once("{{") {
            let (words, behind) = behind.split_once("}}").ok_or("a template is not closed: expected '}}'")?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            let (subject, field) = value(words.trim()).ok_or(
                "unknown template: expected identity.entity.{id,name,metadata.KEY,aliases.ACCESSOR.FIELD} or identity.groups.{ids.ID,names.NAME}.FIELD",
            )?;
            pieces.push(Piece::Value(subject, field));
            rest = behind;
        }
        if rest.contains("}}") {
            return Err("'}}' closes no template");
        }
        if pieces.is_empty() {
            return Ok(None);
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        Ok(Some(Template(pieces)))
    }

    /// The path for a caller, or why there is none.
    pub(super) fn expand(&self, facts: Option<&TemplateFacts>) -> Result<String, &'static str> {
        let mut path = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => path.push_str(literal),
                Piece::Value(subject, field) => {
                    let value = facts.and_then(|facts| facts.value(subject, field)).filter(|value| !value.is_empty());
                    let value = value.ok_or("nothing is known of the caller to put into its template")?;
                    if value.contains(['*', '+', '/', ',']) {
                        return Err("what is known of the caller holds '*', '+', '/' or ',', which would change the path's meaning");
                    }
                    path.push_str(value);
                }
            }
        }
        Ok(path)
    }
}

impl TemplateFacts {
    /// What is known of a caller, from JSON: `{"entity": {"id", "name", "metadata", "aliases": {ACCESSOR: {"id", "name", "metadata"}}}, "groups":
    /// [{"id", "name", "metadata"}]}`; each member may be left out.
    ///
    /// # Errors
    /// `InvalidData`, naming the member that is unknown or no text.
    pub fn from_value(value: &Value) -> Result<Self> {
        let mut facts = TemplateFacts::default();
        for (name, value) in object(value, "the caller")?.iter() {
            match name {
                "entity" => facts.entity = Some(EntityFacts::from_value(value)?),
                "groups" => {
                    let groups = value.as_array().ok_or_else(|| bad("\"groups\" must be a list"))?;
                    facts.groups = groups.iter().map(GroupFacts::from_value).collect::<Result<_>>()?;
                }
                _ => return Err(bad(&format!("unknown member {name:?} of the caller: expected entity or groups"))),
            }
        }
        Ok(facts)
    }

    fn value(&self, subject: &Subject, field: &Field) -> Option<&str> {
        let (id, name, metadata) = match (subject, field) {
            (Subject::Alias { accessor }, Field::CustomMetadata(key)) => {
                return self.entity.as_ref()?.aliases.get(accessor)?.custom_metadata.get(key).map(String::as_str);
            }
            (Subject::Entity, _) => self.entity.as_ref().map(|entity| (&entity.id, &entity.name, &entity.metadata))?,
            (Subject::Alias { accessor }, _) => {
                self.entity.as_ref()?.aliases.get(accessor).map(|alias| (&alias.id, &alias.name, &alias.metadata))?
            }
            (Subject::GroupById { id }, _) => self.group(|group| group.id == *id)?,
            (Subject::GroupByName { name }, _) => self.group(|group| group.name == *name)?,
        };
        match field {
            Field::Id => Some(id),
            Field::Name => Some(name),
            Field::Metadata(key) => metadata.get(key).map(String::as_str),
            // Refused where the template is read.
            Field::CustomMetadata(_) => None,
        }
    }

    fn group(&self, is_meant: impl Fn(&GroupFacts) -> bool) -> Option<(&String, &String, &BTreeMap<String, String>)> {
        self.groups.iter().find(|group| is_meant(group)).map(|group| (&group.id, &group.name, &group.metadata))
    }
}

impl EntityFacts {
    fn from_value(value: &Value) -> Result<Self> {
        let mut facts = EntityFacts::default();
        for (name, value) in object(value, "an entity")?.iter() {
            if name == "aliases" {
                let aliases = object(value, "\"aliases\"")?;
                facts.aliases =
                    aliases.iter().map(|(name, alias)| Ok((name.to_owned(), AliasFacts::from_value(alias)?))).collect::<Result<_>>()?;
            } else {
                member(name, value, &mut facts.id, &mut facts.name, &mut facts.metadata)?;
            }
        }
        Ok(facts)
    }
}

impl AliasFacts {
    fn from_value(value: &Value) -> Result<Self> {
        let mut facts = AliasFacts::default();
        for (name, value) in object(value, "an alias")?.iter() {
            let (name, metadata) = match name {
                "custom_metadata" => ("metadata", &mut facts.custom_metadata),
                name => (name, &mut facts.metadata),
            };
            member(name, value, &mut facts.id, &mut facts.name, metadata)?;
        }
        Ok(facts)
    }
}

impl GroupFacts {
    fn from_value(value: &Value) -> Result<Self> {
        let mut facts = GroupFacts::default();
        object(value, "a group")?
            .iter()
            .try_for_each(|(name, value)| member(name, value, &mut facts.id, &mut facts.name, &mut facts.metadata))?;
        Ok(facts)
    }
}

/// Reads what entities, aliases and groups have in common.
fn member(member: &str, value: &Value, id: &mut String, name: &mut String, metadata: &mut BTreeMap<String, String>) -> Result<()> {
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| bad(&format!("{member:?} must be text")));
    match member {
        "id" => *id = text(value)?,
        "name" => *name = text(value)?,
        "metadata" => {
            let members = object(value, "\"metadata\"")?;
            *metadata = members.iter().map(|(key, value)| Ok((key.to_owned(), text(value)?))).collect::<Result<_>>()?;
        }
        _ => return Err(bad(&format!("unknown member {member:?}: expected id, name or metadata, and for an entity aliases"))),
    }
    Ok(())
}

fn object<'v>(value: &'v Value, what: &str) -> Result<&'v Object> {
    value.as_object().ok_or_else(|| bad(&format!("{what} must be an object")))
}

fn bad(why: &str) -> Error {
    Error::new(Code::InvalidData, why)
}

fn value(words: &str) -> Option<(Subject, Field)> {
    if let Some(rest) = words.strip_prefix("identity.entity.") {
        let Some(alias) = rest.strip_prefix("aliases.") else { return Some((Subject::Entity, field(rest)?)) };
        let (accessor, rest) = named(alias)?;
        let custom = rest.strip_prefix("custom_metadata.").filter(|key| !key.is_empty());
        let field = custom.map(|key| Field::CustomMetadata(key.to_owned())).or_else(|| field(rest))?;
        return Some((Subject::Alias { accessor }, field));
    }
    let groups = words.strip_prefix("identity.groups.")?;
    if let Some(group) = groups.strip_prefix("ids.") {
        let (id, rest) = named(group)?;
        return Some((Subject::GroupById { id }, field(rest)?));
    }
    let (name, rest) = named(groups.strip_prefix("names.")?)?;
    Some((Subject::GroupByName { name }, field(rest)?))
}

/// What stands before the next dot, and what behind it.
fn named(words: &str) -> Option<(String, &str)> {
    words.split_once('.').filter(|(name, _)| !name.is_empty()).map(|(name, rest)| (name.to_owned(), rest))
}

fn field(words: &str) -> Option<Field> {
    match words {
        "id" => Some(Field::Id),
        "name" => Some(Field::Name),
        _ => words.strip_prefix("metadata.").filter(|key| !key.is_empty()).map(|key| Field::Metadata(key.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> TemplateFacts {
        let metadata = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        TemplateFacts {
            entity: Some(EntityFacts {
                id: "e-1".to_owned(),
                name: "ann".to_owned(),
                metadata: metadata("team.name", "ops"),
                aliases: BTreeMap::from([(
                    "auth_userpass_1".to_owned(),
                    AliasFacts {
                        id: "a-1".to_owned(),
                        name: "ann-up".to_owned(),
                        metadata: metadata("desk", "7"),
                        custom_metadata: metadata("floor", "3"),
                    },
                )]),
            }),
            groups: vec![GroupFacts { id: "g-1".to_owned(), name: "admins".to_owned(), metadata: metadata("floor", "2") }],
        }
    }

    #[test]
    fn templates_are_expanded_by_what_is_known_of_the_caller() {
        for (path, expected) in [
            ("{{identity.entity.id}}", "e-1"),
            ("secret/{{ identity.entity.name }}/*", "secret/ann/*"),
            ("a/{{identity.entity.metadata.team.name}}", "a/ops"),
            ("a/{{identity.entity.aliases.auth_userpass_1.id}}", "a/a-1"),
            ("a/{{identity.entity.aliases.auth_userpass_1.name}}/b", "a/ann-up/b"),
            ("a/{{identity.entity.aliases.auth_userpass_1.metadata.desk}}", "a/7"),
            ("a/{{identity.entity.aliases.auth_userpass_1.custom_metadata.floor}}", "a/3"),
            ("{{identity.groups.ids.g-1.name}}/{{identity.entity.id}}", "admins/e-1"),
            ("{{identity.groups.names.admins.id}}", "g-1"),
            ("{{identity.groups.names.admins.metadata.floor}}", "2"),
        ] {
            let template = Template::parse(path).expect(path).expect("a template");
            assert_eq!(template.expand(Some(&facts())).as_deref(), Ok(expected), "{path}");
            assert!(template.expand(None).is_err() && template.expand(Some(&TemplateFacts::default())).is_err(), "{path}");
        }
        assert_eq!(Template::parse("secret/{a}/}"), Ok(None));
    }

    #[test]
    fn a_caller_is_read_from_json() {
        let json = r#"{"entity": {"id": "e-1", "name": "ann", "metadata": {"team.name": "ops"},
            "aliases": {"auth_userpass_1": {"id": "a-1", "name": "ann-up", "metadata": {"desk": "7"}, "custom_metadata": {"floor": "3"}}}},
            "groups": [{"id": "g-1", "name": "admins", "metadata": {"floor": "2"}}]}"#;
        let read = |json: &str| TemplateFacts::from_value(&Value::from_json(json.as_bytes()).expect("JSON"));
        assert_eq!(read(json).expect("sound"), facts());
        for (json, part) in [
            ("[]", "the caller must be an object"),
            (r#"{"x": 1}"#, "unknown member \"x\""),
            (r#"{"groups": {}}"#, "must be a list"),
            (r#"{"groups": [{"id": 1}]}"#, "\"id\" must be text"),
            (r#"{"entity": {"aliases": {"a": {"aliases": {}}}}}"#, "unknown member \"aliases\""),
            (r#"{"entity": {"metadata": {"k": 1}}}"#, "\"metadata\" must be text"),
        ] {
            assert!(read(json).expect_err(json).to_string().contains(part), "{json}");
        }
    }

    #[test]
    fn unknown_and_broken_templates_are_refused() {
        for path in [
            "{{identity.entity.id",
            "identity.entity.id}}",
            "{{}}",
            "{{identity.entity}}",
            "{{identity.entity.ids}}",
            "{{identity.entity.metadata.}}",
            "{{identity.entity.custom_metadata.x}}",
            "{{identity.entity.aliases.x.custom_metadata.}}",
            "{{identity.groups.names.x.custom_metadata.y}}",
            "{{identity.entity.aliases.x}}",
            "{{identity.entity.aliases..id}}",
            "{{identity.groups.x.id}}",
            "{{identity.groups.names.x}}",
            "{{time.now}}",
        ] {
            assert!(Template::parse(path).is_err(), "{path}");
        }
    }
}

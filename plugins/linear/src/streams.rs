//! The streams, named as in `connector.toml`: each is a list of the schema's root and the fields that are asked for. All of
//! them are filtered and sorted by `updatedAt`, newest first.

/// A list of the schema's root.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) name: &'static str,
    /// The type of its filter.
    filter: &'static str,
    fields: &'static str,
}

pub(crate) const STREAMS: [Stream; 6] = [
    Stream {
        name: "issues",
        filter: "IssueFilter",
        fields: "id identifier number title description priority estimate url branchName dueDate createdAt updatedAt \
                 startedAt completedAt canceledAt archivedAt trashed labelIds state { id name type } team { id key name } \
                 assignee { id name email } creator { id name email } project { id name } cycle { id number } \
                 parent { id identifier }",
    },
    Stream {
        name: "projects",
        filter: "ProjectFilter",
        fields: "id name description content slugId url priority progress health startDate targetDate createdAt updatedAt \
                 startedAt completedAt canceledAt archivedAt trashed labelIds status { id name type } \
                 lead { id name email } creator { id name email }",
    },
    Stream {
        name: "cycles",
        filter: "CycleFilter",
        fields: "id number name description startsAt endsAt completedAt progress createdAt updatedAt archivedAt \
                 team { id key name }",
    },
    Stream {
        name: "comments",
        filter: "CommentFilter",
        fields: "id body url createdAt updatedAt editedAt resolvedAt archivedAt issueId projectId parentId \
                 user { id name email }",
    },
    Stream {
        name: "users",
        filter: "UserFilter",
        fields: "id name displayName email active admin guest app timezone createdAt updatedAt archivedAt",
    },
    Stream {
        name: "teams",
        filter: "TeamFilter",
        fields: "id key name description timezone cyclesEnabled createdAt updatedAt archivedAt",
    },
];

pub(crate) fn named(name: &str) -> Option<&'static Stream> {
    STREAMS.iter().find(|stream| stream.name == name)
}

impl Stream {
    /// Its query. Every list has the same name in the answer.
    pub(crate) fn query(&self) -> String {
        let Self { name, filter, fields } = self;
        format!(
            "query($first: Int!, $after: String, $filter: {filter}) {{ \
             list: {name}(first: $first, after: $after, filter: $filter, orderBy: updatedAt, includeArchived: true) {{ \
             nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for is what is declared.
    #[test]
    fn the_manifest_declares_the_fields() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        assert_eq!(manifest.streams.len(), STREAMS.len());
        for stream in &STREAMS {
            let declared = manifest.stream(stream.name).unwrap();
            let mut declared: Vec<&str> = declared.schema["properties"]
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            let mut depth = 0;
            let mut asked: Vec<&str> = stream
                .fields
                .split_whitespace()
                .filter(|word| {
                    depth += i32::from(*word == "{") - i32::from(*word == "}");
                    depth == 0 && *word != "}"
                })
                .collect();
            declared.sort_unstable();
            asked.sort_unstable();
            assert_eq!(declared, asked, "{}", stream.name);
        }
    }
}

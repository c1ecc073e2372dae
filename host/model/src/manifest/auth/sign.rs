//! `[auth.sign]`: what is signed with a keyed hash, and where the signature goes.

use serde_json::Value;

use super::super::ManifestError;
use super::super::source::{Node, Table};
use super::applied::header_name;
use super::template::{self, Declared, Place, parameter};
use crate::auth::{Piece, Placement, SignRecipe};
use crate::signature::{Algorithm, Encoding};

/// The most places that one recipe sets on a request.
const MAX_PLACED: usize = 10;

pub(super) fn read(node: &Node<'_>, config: &Value) -> Result<SignRecipe, ManifestError> {
    let table = node.table(&["algorithm", "encoding", "message", "before", "after"])?;
    let algorithms = [
        ("sha1", Algorithm::HmacSha1),
        ("sha256", Algorithm::HmacSha256),
        ("sha512", Algorithm::HmacSha512),
    ];
    let declared = Declared::new(config);
    let after = table.need("after")?;
    let recipe = SignRecipe {
        algorithm: table.need("algorithm")?.choice(&algorithms)?,
        encoding: table
            .need("encoding")?
            .choice(&[("hex", Encoding::Hex), ("base64", Encoding::Base64)])?,
        before: placed(&table.each("before", MAX_PLACED)?, &declared, Place::Signing)?,
        message: template::read(&table.need("message")?, &declared, Place::Signing)?,
        after: placed(&after.some(MAX_PLACED)?, &declared, Place::Signed)?,
    };
    let signed = |placement: &Placement| placement.templates().any(|template| template.takes("signature"));
    if !recipe.after.iter().any(signed) {
        return Err(after.error("puts `${signature}` nowhere"));
    }
    if !recipe.message.pieces().iter().any(varies) {
        let message = table.need("message")?;
        return Err(message.error("takes nothing of the request: such a signature proves nothing"));
    }
    Ok(recipe)
}

fn varies(piece: &Piece) -> bool {
    matches!(piece, Piece::Own(key) if key != "key_id")
}

fn placed(
    nodes: &[Node<'_>],
    declared: &Declared<'_>,
    place: Place,
) -> Result<Vec<Placement>, ManifestError> {
    nodes
        .iter()
        .map(|node| placement(node, declared, place))
        .collect()
}

fn placement(node: &Node<'_>, declared: &Declared<'_>, place: Place) -> Result<Placement, ManifestError> {
    let table = node.table(&["header", "query", "basic", "value"])?;
    let value = |table: &Table<'_>| template::read(&table.need("value")?, declared, place);
    match (table.get("header"), table.get("query"), table.get("basic")) {
        (Some(header), None, None) => Ok(Placement::Header(header_name(&header)?, value(&table)?)),
        (None, Some(query), None) => Ok(Placement::Query(parameter(&query)?, value(&table)?)),
        (None, None, Some(basic)) => {
            if let Some(node) = table.get("value") {
                return Err(node.error("does not belong to `basic`, which has user and password"));
            }
            let [user, password] = basic
                .list(2)?
                .try_into()
                .map_err(|_: Vec<_>| basic.error("is not a list of two: the user and the password"))?;
            Ok(Placement::Basic(
                template::read(&user, declared, place)?,
                template::read(&password, declared, place)?,
            ))
        }
        _ => Err(node.error("has to have one of `header`, `query` and `basic`")),
    }
}

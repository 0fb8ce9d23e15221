//! `resources` of containers and pods, and `overhead`: names of resources, amounts, and limits against requests.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{PodSpec, ResourceClaim, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use super::errors::Errors;
use super::names;
use crate::manifest::field::{FieldError, FieldPath, Shown};
use crate::manifest::quantity::Quantity;
use crate::manifest::resources::{
    Kind, aggregate, is_extended, is_huge_page, is_integer, is_native, is_pod_level, is_standard,
    is_standard_for_containers, overcommit_allowed, worth,
};

/// Whose resources are looked at: names differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A container, and the pod's overhead.
    Container,
    /// The pod as a whole.
    Pod,
}

/// `limits`, `requests` and `claims`.
pub fn requirements(
    errors: &mut Errors,
    path: &FieldPath,
    resources: &ResourceRequirements,
    claims: &BTreeSet<&str>,
    owner: Owner,
) {
    amounts(errors, path, resources.limits.as_ref(), resources.requests.as_ref(), owner);
    claim_names(errors, &path.child("claims"), resources.claims.as_deref().unwrap_or_default(), claims);
}

/// The server takes overhead for limits, and says so in its paths.
pub fn overhead(errors: &mut Errors, path: &FieldPath, overhead: &BTreeMap<String, Written>) {
    amounts(errors, path, Some(overhead), None, Owner::Container);
}

fn amounts(
    errors: &mut Errors,
    path: &FieldPath,
    limits: Option<&BTreeMap<String, Written>>,
    requests: Option<&BTreeMap<String, Written>>,
    owner: Owner,
) {
    let (limit_path, request_path) = (path.child("limits"), path.child("requests"));
    let (mut compute, mut huge_pages) = (false, false);
    let mut one = |errors: &mut Errors, path: &FieldPath, name: &str, quantity: &Quantity| {
        resource_name(errors, path, name, owner);
        resource_amount(errors, path, name, quantity);
        compute |= matches!(name, "cpu" | "memory");
    };
    for (name, quantity) in limits.into_iter().flatten() {
        let (path, quantity) = (limit_path.key(name), worth(quantity));
        one(errors, &path, name, &quantity);
        if is_huge_page(name) {
            huge_pages = true;
            huge_page_multiple(errors, &path, name, &quantity);
        }
    }
    for (name, quantity) in requests.into_iter().flatten() {
        let (path, quantity) = (request_path.key(name), worth(quantity));
        one(errors, &path, name, &quantity);
        match limits.and_then(|limits| limits.get(name)).map(worth) {
            Some(limit) if quantity != limit && !overcommit_allowed(name) => {
                let text = format!("must be equal to {name} limit of {limit}");
                errors.invalid(&request_path, quantity.to_string().as_str(), text);
            }
            Some(limit) if quantity > limit => {
                let text = format!("must be less than or equal to {name} limit of {limit}");
                errors.invalid(&request_path, quantity.to_string().as_str(), text);
            }
            None if !overcommit_allowed(name) => {
                errors.required(&limit_path, "Limit must be set for non overcommitable resources");
            }
            _ => {}
        }
        if is_huge_page(name) {
            huge_pages = true;
            huge_page_multiple(errors, &path, name, &quantity);
        }
    }
    if huge_pages && !compute {
        errors.forbidden(path, "HugePages require cpu or memory");
    }
}

fn resource_name(errors: &mut Errors, path: &FieldPath, name: &str, owner: Owner) {
    // Resource names are a named type in the API, so they are shown as JSON.
    let before = errors.count();
    for message in names::qualified_name(name) {
        errors.invalid(path, Shown::json(&name), message);
    }
    if errors.count() == before && !name.contains('/') && !is_standard(name) {
        errors.invalid(path, Shown::json(&name), "must be a standard resource type or fully qualified");
    }
    match owner {
        Owner::Container if !name.contains('/') && !is_standard_for_containers(name) => {
            errors.invalid(path, Shown::json(&name), "must be a standard resource for containers");
        }
        Owner::Container if !is_native(name) && !is_extended(name) => {
            errors.invalid(path, Shown::json(&name), "doesn't follow extended resource name standard");
        }
        Owner::Pod if errors.count() == before && !is_pod_level(name) => {
            errors.one_of(path, name, &["cpu", "hugepages-", "memory"]);
        }
        _ => {}
    }
}

/// Not negative, and whole where things are counted.
pub fn resource_amount(errors: &mut Errors, path: &FieldPath, name: &str, quantity: &Quantity) {
    if quantity.is_negative() {
        errors.invalid(path, quantity.to_string().as_str(), "must be greater than or equal to 0");
    }
    // Looked at in thousandths, rounded up.
    if is_integer(name) && !quantity.is_integer() && quantity.milli_value() % 1000 != 0 {
        errors.invalid(path, Shown::json(&quantity.to_string()), "must be an integer");
    }
}

fn huge_page_multiple(errors: &mut Errors, path: &FieldPath, name: &str, quantity: &Quantity) {
    let page = name.strip_prefix("hugepages-").and_then(|size| Quantity::parse(size).ok());
    let fits = page.is_some_and(|page| {
        let size = page.value();
        size > 0 && page.is_integer() && quantity.value() % size == 0
    });
    if !fits {
        let text = format!("{quantity} is not positive integer multiple of {name}");
        errors.invalid(path, quantity.to_string().as_str(), text);
    }
}

fn claim_names(errors: &mut Errors, path: &FieldPath, list: &[ResourceClaim], claims: &BTreeSet<&str>) {
    let unknown = if claims.is_empty() {
        "must be one of the names in pod.spec.resourceClaims which is empty".to_string()
    } else {
        let known = claims.iter().copied().collect::<Vec<_>>().join(", ");
        format!("must be one of the names in pod.spec.resourceClaims: {known}")
    };
    let mut seen: BTreeSet<String> = BTreeSet::new();
    // How many requests of a claim were named so far.
    let mut parts: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, claim) in list.iter().enumerate() {
        let (entry, name) = (path.index(i), claim.name.as_str());
        if !errors.require_text(&entry, name) {
            continue;
        }
        if seen.contains(name) {
            errors.duplicate(&entry, name);
        } else {
            let request = claim.request.as_deref().unwrap_or_default();
            let mut key = name.to_string();
            if !request.is_empty() {
                errors.each(&entry.child("request"), request, names::dns_label(request));
                key = format!("{name}/{request}");
            }
            if seen.contains(&key) {
                errors.duplicate(&entry, key.as_str());
            } else if request.is_empty() {
                (0..parts.get(name).copied().unwrap_or_default()).for_each(|_| errors.duplicate(&entry, name));
            }
            // A slash in either makes parts of what stands before it, as the server reads its keys.
            if let Some((of, _)) = key.split_once('/')
                && !seen.contains(&key)
            {
                *parts.entry(name.get(..of.len()).unwrap_or(name)).or_default() += 1;
            }
            seen.insert(key);
        }
        if !claims.contains(name) {
            errors.add(|| FieldError { detail: unknown.clone(), ..FieldError::not_found(&entry, name) });
        }
    }
}

/// `spec.resources`, and whether the containers fit into it.
pub fn pod_level(errors: &mut Errors, path: &FieldPath, spec: &PodSpec, claims: &BTreeSet<&str>) {
    let Some(level) = &spec.resources else { return };
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return errors.forbidden(path, "may not be set for a windows pod");
    }
    if level.claims.is_some() {
        errors.forbidden(&path.child("claims"), "claims may not be set for Resources at pod-level");
    }
    requirements(errors, path, level, claims, Owner::Pod);

    let requests = path.child("requests");
    for (name, sum) in aggregate(spec, Kind::Requests) {
        if let Some(pod) = level.requests.as_ref().and_then(|list| list.get(&name)).map(worth)
            && sum > pod
        {
            let text = format!("must be greater than or equal to aggregate container requests of {sum}");
            errors.invalid(&requests.key(&name), pod.to_string().as_str(), text);
        }
    }
    let limits = path.child("limits");
    let limit_of = |name: &str| level.limits.as_ref().and_then(|list| list.get(name)).map(worth);
    for (name, sum) in aggregate(spec, Kind::Limits).into_iter().filter(|(name, _)| is_huge_page(name)) {
        if let Some(pod) = limit_of(&name)
            && sum > pod
        {
            let text = format!("must be greater than or equal to aggregate container limits of {sum}");
            errors.invalid(&limits.key(&name), pod.to_string().as_str(), text);
        }
    }
    let containers = path.child("containers");
    for (i, container) in spec.containers.iter().enumerate() {
        let own = container.resources.as_ref().and_then(|r| r.limits.as_ref());
        for (name, quantity) in own.into_iter().flatten() {
            if let Some(pod) = limit_of(name)
                && worth(quantity) > pod
            {
                // Below `resources` although it is about the containers: a quirk of the server.
                let text = format!("must be less than or equal to pod limits of {pod}");
                let shown = worth(quantity).to_string();
                errors.invalid(&containers.index(i).key(name).child("limits"), shown.as_str(), text);
            }
        }
    }
}

/**
 * Image references as people write them (`busybox`, `localhost:5000/team/app:1.2@sha256:…`) and their
 * one normal form. The grammar and the defaults are those of distribution/reference, which docker,
 * podman's docker compatibility and containerd's CRI use.
 */
import { GantryError } from "../base/error.ts";
import { type Digest, isDigest } from "./digest.ts";

export interface Reference {
  /** Registry host, with its port if one is given: `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** Repository within the registry: `library/busybox`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const defaultDomain = "docker.io";
const legacyDomain = "index.docker.io";
const officialPrefix = "library/";
const defaultTag = "latest";

/** Name limit of distribution/reference (RepositoryNameTotalLengthMax). */
const pathLimit = 255;
/** No valid reference is longer; keeps the regular expressions away from floods. */
const textLimit = 1024;

const domainLabel = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const domainForm = new RegExp(
  `^(?:${domainLabel}(?:\\.${domainLabel})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]{1,5})?$`,
);
const pathForm = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const tagForm = /^\w[\w.-]{0,127}$/;
const identifierForm = /^[0-9a-f]{64}$/;

export function isTag(text: string): boolean {
  return tagForm.test(text);
}

/** A repository path as the distribution specification allows it. */
export function isRepositoryPath(text: string): boolean {
  return text.length <= pathLimit && pathForm.test(text);
}

function refuse(text: string, reason: string): never {
  throw new GantryError("invalid-argument", `parse reference "${text.slice(0, 300)}": ${reason}`, {
    detail: { reference: text.slice(0, 300) },
  });
}

/** Whether the part before the first slash is a registry host rather than the first part of a path. */
function isDomainPart(part: string): boolean {
  return part === "localhost" || /[.:]/.test(part) || part !== part.toLowerCase();
}

function splitDomain(name: string): { domain: string; rest: string } {
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(slash, 0));
  let domain = defaultDomain;
  let rest = name;
  if (slash > 0 && isDomainPart(first)) {
    domain = first === legacyDomain ? defaultDomain : first;
    rest = name.slice(slash + 1);
  }
  if (domain === defaultDomain && !rest.includes("/")) rest = officialPrefix + rest;
  return { domain, rest };
}

/** Parses without adding a default tag. */
export function parseReferenceExactly(text: string): Reference {
  if (text === "") refuse(text, "it is empty");
  if (text.length > textLimit) refuse(text, `longer than ${textLimit} characters`);
  if (identifierForm.test(text)) refuse(text, "64 hexadecimal digits are an image ID, not a name");
  const atSign = text.indexOf("@");
  const digest = atSign < 0 ? undefined : text.slice(atSign + 1);
  if (digest !== undefined && !isDigest(digest)) refuse(text, "what follows the @ is not a supported digest");
  const { domain, rest } = splitDomain(atSign < 0 ? text : text.slice(0, atSign));
  const colon = rest.indexOf(":");
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  if (path !== path.toLowerCase()) refuse(text, "the repository name must be lower case");
  if (!domainForm.test(domain)) refuse(text, `"${domain}" is not a registry host`);
  if (path.length > pathLimit) refuse(text, `the repository name is longer than ${pathLimit} characters`);
  if (!pathForm.test(path)) refuse(text, `"${path}" is not a repository name`);
  if (tag !== undefined && !tagForm.test(tag)) refuse(text, `"${tag}" is not a tag`);
  return { domain, path, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/** Parses what a user wrote: `busybox` is `docker.io/library/busybox:latest`. */
export function parseReference(text: string): Reference {
  const reference = parseReferenceExactly(text);
  return reference.tag === undefined && reference.digest === undefined
    ? { ...reference, tag: defaultTag }
    : reference;
}

/** `docker.io/library/busybox`. */
export function repositoryOf(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

function suffixOf(reference: Reference): string {
  return `${reference.tag === undefined ? "" : `:${reference.tag}`}${reference.digest === undefined ? "" : `@${reference.digest}`}`;
}

/** The one complete form, fit as a key: `docker.io/library/busybox:latest`. */
export function formatReference(reference: Reference): string {
  return repositoryOf(reference) + suffixOf(reference);
}

/** The repository as docker shows it: `busybox`, `team/app`, `localhost:5000/app`. */
export function familiarRepository(reference: Reference): string {
  if (reference.domain !== defaultDomain) return repositoryOf(reference);
  const { path } = reference;
  const official = path.startsWith(officialPrefix) && !path.slice(officialPrefix.length).includes("/");
  const short = official ? path.slice(officialPrefix.length) : path;
  // a path such as foo.bar/baz would be read back as host foo.bar: keep the domain there
  return !official && isDomainPart(path.slice(0, path.indexOf("/"))) ? repositoryOf(reference) : short;
}

/** The shortest form that parses back to the same reference, as docker prints it. */
export function familiarReference(reference: Reference): string {
  const short = familiarRepository(reference) + suffixOf(reference);
  return identifierForm.test(short) ? formatReference(reference) : short;
}

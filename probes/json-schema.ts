/**
 * Validation against a large JSON Schema without blocking the process. OpenClaw's schema is 2.4 MB: compiled
 * whole by ajv it blocks for 2.0 s (0.5 s more at the first validation) and leaves 500 MB resident. A schema
 * says nothing of what a document does not contain, so the schema is first cut down to the places where the
 * document has values. That keeps the verdict and costs some milliseconds, in this thread.
 */
import type { ErrorObject } from 'ajv'
import { isObject, type Members as Schema } from './json.ts'

const mapValues = (source: Schema, map: (value: unknown, key: string) => unknown): Schema =>
  Object.fromEntries(Object.entries(source).map(([key, value]) => [key, map(value, key)]))

/**
 * The schema without what cannot matter for these values: the sub-schema of a place where none of them has
 * anything becomes `true`. Definitions and rarer keywords stay whole.
 */
export function pruneSchema(schema: unknown, values: readonly unknown[]): unknown {
  if (!isObject(schema)) return schema
  if (values.length === 0) return true
  const objects = values.filter(isObject)
  const items = values.filter(Array.isArray).flat()
  const properties = isObject(schema['properties']) ? schema['properties'] : {}
  const at = (key: string) => objects.filter((value) => Object.hasOwn(value, key)).map((value) => value[key])
  const extra = () =>
    objects.flatMap((value) =>
      Object.keys(value)
        .filter((key) => !Object.hasOwn(properties, key))
        .map((key) => value[key]),
    )
  return mapValues(schema, (sub, keyword) => {
    switch (keyword) {
      case 'properties':
        return isObject(sub) ? mapValues(sub, (inner, key) => pruneSchema(inner, at(key))) : sub
      case 'additionalProperties':
        return pruneSchema(sub, extra())
      case 'items':
        return Array.isArray(sub) ? sub : pruneSchema(sub, items)
      case 'anyOf':
      case 'oneOf':
      case 'allOf':
        return Array.isArray(sub) ? sub.map((inner) => pruneSchema(inner, values)) : sub
      case 'if':
      case 'then':
      case 'else':
      case 'not':
        return pruneSchema(sub, values)
      default:
        return sub
    }
  })
}

const escapePointer = (key: string) =>
  `/${encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))}`

function resolves(root: Schema, pointer: string): boolean {
  let node: unknown = root
  for (const part of pointer.split('/').slice(1)) {
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, key)) return false
    node = (node as Schema)[key]
  }
  return true
}

/** A member with a default is never missing: the program fills it in before it validates. */
function withoutDefaulted({ required, properties }: Schema): unknown {
  if (!Array.isArray(required) || !isObject(properties)) return required
  return required.filter((key) => !isObject(properties[key]) || !Object.hasOwn(properties[key], 'default'))
}

/**
 * Mends what programs print, in place. References of schemas that were pasted into a larger one, as OpenClaw
 * does with its plugins': a local reference that the root does not resolve is taken from the next enclosing
 * schema that does, and one that none resolves is removed, since it can only forbid everything. And members
 * that are required though they have a default, as generators print them from the validated form.
 */
export function repairSchema(root: Schema): void {
  const path: string[] = []
  const enclosing: { readonly node: Schema; readonly depth: number }[] = []
  const repairReference = (node: Schema) => {
    const reference = node['$ref']
    if (typeof reference !== 'string' || !reference.startsWith('#/') || resolves(root, reference)) return
    const home = enclosing.findLast((outer) => resolves(outer.node, reference))
    if (home === undefined) delete node['$ref']
    else node['$ref'] = `#${path.slice(0, home.depth).map(escapePointer).join('')}${reference.slice(1)}`
  }
  const visit = (node: unknown) => {
    if (Array.isArray(node)) return visitMembers(node as unknown as Schema)
    if (!isObject(node)) return
    enclosing.push({ node, depth: path.length })
    repairReference(node)
    if (Array.isArray(node['required'])) node['required'] = withoutDefaulted(node)
    visitMembers(node)
    enclosing.pop()
  }
  const visitMembers = (node: Schema) => {
    for (const key of Object.keys(node)) {
      path.push(key)
      visit(node[key])
      path.pop()
    }
  }
  visit(root)
}

const kindOf = (value: unknown) => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value)
const orList = (items: readonly unknown[]) => [...new Set(items.map(String))].join(' or ')

/** The dotted path of an error, with one more key if the error is about a key. */
function pathOf({ instancePath }: ErrorObject, key?: string): string {
  const keys = instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  return [...keys, ...(key === undefined ? [] : [key])].join('.') || 'the document'
}

/** One error in words. Values of the document are never quoted: they may be secrets. */
function sentence(error: ErrorObject): string {
  const { keyword, params, data } = error
  if (keyword === 'additionalProperties') return `${pathOf(error, params['additionalProperty'])}: unknown key`
  if (keyword === 'required') return `${pathOf(error, params['missingProperty'])}: missing`
  if (keyword === 'type')
    return `${pathOf(error)}: must be ${orList([params['type']].flat())} (got ${kindOf(data)})`
  if (keyword === 'enum' || keyword === 'const') {
    const allowed: readonly unknown[] = params['allowedValues'] ?? [params['allowedValue']]
    return `${pathOf(error)}: must be ${orList(allowed.slice(0, 12).map((value) => JSON.stringify(value)))}`
  }
  return `${pathOf(error)}: ${error.message ?? keyword}`
}

const isUnion = ({ keyword }: ErrorObject) => keyword === 'anyOf' || keyword === 'oneOf'

/** What a failed choice of forms comes down to: the errors of the one form that fits, or the kinds. */
function unionSentences(union: ErrorObject, inner: readonly ErrorObject[]): string[] {
  const branchOf = ({ schemaPath }: ErrorObject) =>
    schemaPath.slice(union.schemaPath.length + 1).split('/', 1)[0]
  const branches = [...Map.groupBy(inner, branchOf).values()]
  const isKind = ({ keyword, instancePath }: ErrorObject) =>
    instancePath === union.instancePath && ['type', 'const', 'enum'].includes(keyword)
  const fitting = branches.filter((errors) => !errors.some(isKind))
  if (fitting.length === 1 && fitting[0] !== undefined) return sentences(fitting[0])
  const kinds = inner.filter(isKind)
  const types = kinds.filter(({ keyword }) => keyword === 'type').flatMap(({ params }) => params['type'])
  const values = kinds.flatMap(({ params }) => params['allowedValues'] ?? params['allowedValue'] ?? [])
  if (fitting.length > 0 || kinds.length === 0) return [`${pathOf(union)}: matches none of the allowed forms`]
  const allowed = orList([...values.map((value) => JSON.stringify(value)), ...types])
  return [`${pathOf(union)}: must be ${allowed} (got ${kindOf(union.data)})`]
}

function sentences(errors: readonly ErrorObject[]): string[] {
  const told = new Set<ErrorObject>()
  const result: string[] = []
  // ajv reports a choice after its branches, an outer choice after the inner ones: the last is the outermost.
  for (const error of errors.filter(isUnion).reverse()) {
    if (told.has(error)) continue
    const inner = errors.filter(
      (other) => other !== error && other.schemaPath.startsWith(`${error.schemaPath}/`),
    )
    for (const one of [error, ...inner]) told.add(one)
    result.push(...unionSentences(error, inner))
  }
  return [...errors.filter((error) => !told.has(error) && error.keyword !== 'if').map(sentence), ...result]
}

const formats = {
  uri: (text: string) => URL.canParse(text),
  email: /^[^\s@]+@[^\s@]+$/,
  'date-time': (text: string) => !Number.isNaN(Date.parse(text)),
}

/**
 * What is wrong with the document by the schema (draft-07), in sentences such as
 * `gateway.port: must be integer (got string)`.
 */
export async function schemaProblems(schema: unknown, document: unknown): Promise<string[]> {
  const { Ajv } = await import('ajv')
  const options = {
    allErrors: true,
    strict: false,
    validateSchema: false,
    verbose: true,
    logger: false,
    formats,
  } as const
  const compile = (one: unknown) => new Ajv(options).compile(one as Schema)
  let validate: ReturnType<typeof compile>
  try {
    validate = compile(pruneSchema(schema, [document]))
  } catch (error) {
    // A reference points at a place that was cut away: then only the whole schema will do.
    if (!(error instanceof Ajv.MissingRefError)) throw error
    validate = compile(schema)
  }
  return validate(document) ? [] : [...new Set(sentences(validate.errors ?? []))]
}

/**
 * Validates another program's configuration file while that program runs. A broken file is a time bomb: the
 * program keeps its old settings, all its health answers stay green, and its next start fails for ever.
 */
import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import { ConfigFault, hasKey, parseConfig, readConfig, resolveIncludes } from './config-file.ts'
import { valueAt } from './dotted-path.ts'
import { excerpt, lastLine } from './excerpt.ts'
import { repairSchema, schemaProblems } from './json-schema.ts'
import {
  defineProbe,
  fail,
  type ProbeResult,
  type ProbeTarget,
  pass,
  type Schemas,
  type SettingsOf,
  unknown,
} from './probe.ts'

/** How long a program's version is believed: asking OpenClaw costs 0.4 s of CPU. */
const VERSION_MS = 15 * 60_000
/** More problems than this are counted, not listed. */
const LISTED = 20

const requirement = ({ z, pattern }: Schemas) =>
  z.strictObject({
    path: z.string().min(1),
    equals: z.union([z.string(), z.number(), z.boolean(), z.null()]).optional(),
    matches: pattern.optional(),
    exists: z.boolean().optional(),
    message: z.string().min(1),
  })

const argv = ({ z }: Schemas) => z.array(z.string()).min(1)

const shape = (schemas: Schemas) => ({
  /** A leading `~/` is the home. */
  file: schemas.z.string().min(1),
  format: schemas.z.enum(['json', 'json5']).default('json'),
  /** A JSON Schema (draft-07): a file, or what the program itself prints, once per version of it. */
  schema: schemas.z
    .union([
      schemas.z.strictObject({ command: argv(schemas), version: argv(schemas) }),
      schemas.z.strictObject({ file: schemas.z.string().min(1) }),
    ])
    .optional(),
  /** Conditions beyond the schema; without equals, matches or exists the value must be there. */
  require: schemas.z.array(requirement(schemas)).default([]),
  /** A member of this name puts other files in, as in OpenClaw. */
  includeKey: schemas.z.string().default('$include'),
})
type Settings = SettingsOf<typeof shape>
type SchemaSource = NonNullable<Settings['schema']>
type ProgramSchema = Extract<SchemaSource, { command: unknown }>

const expand = (path: string) => path.replace(/^~\//, `${homedir()}/`)

async function runForText(
  target: ProbeTarget,
  command: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const { code, signal: killed, stdout, stderr } = await target.run(command, { signal })
  if (code === 0) return stdout
  const program = [basename(command[0] ?? ''), ...command.slice(1, 3)].join(' ')
  throw new Error(`${program}: ${code === null ? `ended by ${killed}` : `exit ${code}`}: ${lastLine(stderr)}`)
}

async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  await writeFile(temporary, text, { mode: 0o600 })
  await rename(temporary, path)
}

/** The program's own schema, from the cache if this version of the program printed it before. */
async function programSchema(
  source: ProgramSchema,
  version: string,
  target: ProbeTarget,
  signal: AbortSignal,
) {
  const key = createHash('sha256')
    .update(JSON.stringify([source.command, version]))
    .digest('hex')
    .slice(0, 32)
  const path = join(target.cacheDir, `schema-${key}.json`)
  const cached = await readFile(path, 'utf8').catch(() => null)
  if (cached !== null) return JSON.parse(cached)
  const schema = JSON.parse(await runForText(target, source.command, signal))
  repairSchema(schema)
  await mkdir(target.cacheDir, { recursive: true, mode: 0o700 })
  await writeAtomically(path, JSON.stringify(schema))
  return schema
}

function requireProblems(document: unknown, requirements: Settings['require']): string[] {
  const isMet = ({ path, equals, matches, exists }: Settings['require'][number]) => {
    const value = valueAt(document, path)
    if (exists === false) return value === undefined
    if (value === undefined) return false
    if (equals !== undefined && value !== equals) return false
    return matches === undefined || new RegExp(matches).test(String(value))
  }
  return requirements.filter((one) => !isMet(one)).map(({ path, message }) => `${path}: ${message}`)
}

function listed(problems: readonly string[]): string {
  const more = problems.length > LISTED ? `; and ${problems.length - LISTED} more` : ''
  return problems.slice(0, LISTED).join('; ') + more
}

/** Reads versions and schemas for one open probe. */
function createSchemaReader(source: SchemaSource, target: ProbeTarget) {
  let known: { text: string; at: number; generation: number } | null = null
  return {
    /** What the verdict depends on beside the file; the text changes when the program does. */
    async version(isFresh: boolean, signal: AbortSignal): Promise<string> {
      if ('file' in source) return readFile(expand(source.file), 'utf8')
      const isOld =
        known === null || known.generation !== target.generation || performance.now() - known.at > VERSION_MS
      if (known === null || isOld || isFresh) {
        const text = (await runForText(target, source.version, signal)).trim()
        known = { text, at: performance.now(), generation: target.generation }
      }
      return known.text
    },
    async read(version: string, signal: AbortSignal): Promise<unknown> {
      if (!('file' in source)) return programSchema(source, version, target, signal)
      const schema = JSON.parse(version)
      repairSchema(schema)
      return schema
    },
  }
}

/** Passes when the file parses, fits its program's schema and meets the requirements; tells all problems. */
export const config = defineProbe(
  'config',
  shape,
  async (settings, target) => {
    const { format, includeKey } = settings
    const path = expand(settings.file)
    const name = basename(path)
    const schemas = settings.schema === undefined ? null : createSchemaReader(settings.schema, target)
    // Loaded now (some 25 ms), so that no check pays for it.
    if (schemas !== null) await import('ajv')
    let last: { version: string; text: string; result: ProbeResult } | null = null

    const judge = (problems: readonly string[]) =>
      problems.length === 0 ? pass() : fail(`${name}: ${listed(problems)}`)

    /** The verdict on a document. A schema that cannot be had hides nothing that the requirements find. */
    const validate = async (document: unknown, signal: AbortSignal): Promise<ProbeResult> => {
      const required = requireProblems(document, settings.require)
      if (schemas === null) return judge(required)
      // The document with its includes, so that a change of an included file counts too.
      const text = JSON.stringify(document)
      try {
        const version = await schemas.version(last?.text !== text, signal)
        if (last?.text === text && last.version === version) return last.result
        const schema = await schemas.read(version, signal)
        last = { version, text, result: judge([...(await schemaProblems(schema, document)), ...required]) }
        return last.result
      } catch (error) {
        if (required.length > 0) return judge(required)
        throw error
      }
    }

    return {
      async check(signal) {
        try {
          const parsed = await parseConfig(await readConfig(path), format)
          const isSplit = hasKey(parsed, includeKey)
          const document = isSplit ? await resolveIncludes(parsed, includeKey, format, path) : parsed
          return await validate(document, signal)
        } catch (error) {
          if (error instanceof ConfigFault) return fail(`${name}: ${error.message}`)
          if (signal.aborted) return unknown(`${name}: the schema was not there in time`)
          return unknown(
            `${name} cannot be checked: ${excerpt(error instanceof Error ? error.message : String(error))}`,
          )
        }
      },
      close: () => Promise.resolve(),
    }
  },
  ({ file }) => [expand(file)],
)

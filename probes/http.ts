/**
 * One HTTP request to a loopback address, judged by status, content type and body. It is made to be cheap: a
 * fresh socket for each check, since a reused one fails for no reason after the prober's own
 * loop was blocked, and no client library.
 */
import { valueAt } from './dotted-path.ts'
import { excerpt } from './excerpt.ts'
import { exchange, type HttpAnswer, targetOf } from './http-exchange.ts'
import { LATE, watchLateness } from './lateness.ts'
import { isLoopback } from './loopback.ts'
import { defineProbe, fail, type ProbeResult, pass, type Schemas, type SettingsOf, unknown } from './probe.ts'

const scalar = ({ z }: Schemas) => z.union([z.string(), z.number(), z.boolean(), z.null()])

/** A condition on one value of the JSON body. */
const bodyCheck = (schemas: Schemas) => {
  const { z, pattern } = schemas
  return z.union([
    z.strictObject({ path: z.string().min(1), equals: scalar(schemas) }),
    z.strictObject({ path: z.string().min(1), matches: pattern }),
  ])
}

const statusCode = ({ z }: Schemas) => z.int().min(100).max(599)

const shape = (schemas: Schemas) => ({
  /** Instead of `port` and `path`: an http URL of this machine. */
  url: schemas.z
    .string()
    .refine((url) => isLoopback(url, 'http:'), {
      error: 'must be an http URL of this machine (127.0.0.1, ::1, localhost)',
    })
    .optional(),
  port: schemas.z.int().min(1).max(65_535).optional(),
  path: schemas.z.string().startsWith('/').default('/'),
  method: schemas.z.enum(['GET', 'HEAD', 'POST']).default('GET'),
  /** The status that counts, or each of those that do. */
  status: schemas.z.union([statusCode(schemas), schemas.z.array(statusCode(schemas)).min(1)]).default(200),
  /** Sent with the request, such as an API key; a value may be a reference to a secret. */
  headers: schemas.z
    .record(
      schemas.z.string().regex(/^[\w-]+$/, 'is not the name of a header'),
      schemas.z.string().regex(/^[^\r\n]*$/),
    )
    .default({}),
  /** The media type, without parameters. */
  contentType: schemas.z.string().optional(),
  body: schemas.z.array(bodyCheck(schemas)).default([]),
  /** Must match the body as text. */
  text: schemas.pattern.optional(),
  /** What an answer looks like that is not well yet and says so. */
  progress: schemas.z
    .strictObject({
      status: schemas.z.int().min(100).max(599),
      path: schemas.z.string().optional(),
      equals: scalar(schemas).optional(),
    })
    .optional(),
  /** A list (or a word) in the body that explains a failure. */
  show: schemas.z.string().optional(),
  /** Lists that must be empty though the rest is well. */
  failIf: schemas.z
    .array(
      schemas.z.strictObject({
        path: schemas.z.string().min(1),
        nonEmpty: schemas.z.literal(true),
        reason: schemas.z.string().min(1),
      }),
    )
    .default([]),
})
type Settings = SettingsOf<typeof shape>
type Answer = HttpAnswer & { readonly json: unknown }

/** Undefined where the body is not JSON: then no path finds anything. */
function parseJson(text: string): unknown {
  // An exception for each check of a plain "ok" would cost more than the rest of the judgement.
  if (!/^\s*[[{"\dtfn-]/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const words = (value: unknown): string =>
  (Array.isArray(value) ? value : [value])
    .map((item) => excerpt(typeof item === 'string' ? item : JSON.stringify(item)))
    .slice(0, 10)
    .join(', ')

/** What is wrong with an answer, or null. */
function judge(answer: Answer, settings: Settings): string | null {
  const { status, contentType, body, text, failIf } = settings
  if (![status].flat().includes(answer.status)) return String(answer.status)
  if (contentType !== undefined && answer.contentType !== contentType) {
    return `content type ${answer.contentType || 'missing'}, expected ${contentType}`
  }
  for (const check of body) {
    const value = valueAt(answer.json, check.path)
    const found = value === undefined ? 'missing' : excerpt(JSON.stringify(value))
    if ('equals' in check && value !== check.equals) {
      return `${check.path} is ${found}, expected ${JSON.stringify(check.equals)}`
    }
    if ('matches' in check && (value === undefined || !new RegExp(check.matches).test(String(value)))) {
      return `${check.path} is ${found}, expected to match ${check.matches}`
    }
  }
  if (text !== undefined && !new RegExp(text).test(answer.text)) return `the body does not match ${text}`
  for (const { path, reason } of failIf) {
    const value = valueAt(answer.json, path)
    if (Array.isArray(value) && value.length > 0) return `${reason}: ${words(value)}`
  }
  return null
}

/** True if the answer is the declared "not yet". */
function isProgress(answer: Answer, progress: Settings['progress']): boolean {
  if (progress === undefined || answer.status !== progress.status) return false
  if (progress.path === undefined) return true
  const value = valueAt(answer.json, progress.path)
  return progress.equals === undefined ? value !== undefined : value === progress.equals
}

function resultOf(answer: Answer, settings: Settings, what: string): ProbeResult {
  const wrong = judge(answer, settings)
  if (wrong === null) return pass()
  const shown = settings.show === undefined ? undefined : valueAt(answer.json, settings.show)
  const hasShown = shown !== undefined && shown !== null && !(Array.isArray(shown) && shown.length === 0)
  const because = hasShown ? `, ${settings.show?.split('.').at(-1)}: ${words(shown)}` : ''
  return fail(`${what}: ${wrong}${because}`, isProgress(answer, settings.progress))
}

/** Passes when the answer has the declared status, content type and body. */
export const http = defineProbe('http', shape, async (settings) => {
  if ((settings.url === undefined) === (settings.port === undefined)) {
    throw new Error('an http probe needs either url or port')
  }
  const url = new URL(settings.url ?? `http://127.0.0.1:${settings.port}${settings.path}`)
  const what = `${settings.method} ${url.pathname}`
  const target = targetOf(url, settings.method, settings.headers)
  const readsJson =
    settings.body.length + settings.failIf.length > 0 ||
    settings.show !== undefined ||
    settings.progress?.path !== undefined
  return {
    async check(signal) {
      const lateness = watchLateness()
      try {
        const answer = await exchange(target, signal)
        return resultOf({ ...answer, json: readsJson ? parseJson(answer.text) : undefined }, settings, what)
      } catch (error) {
        if (signal.aborted) return lateness.isLate() ? unknown(LATE) : fail(`${what}: no answer in time`)
        const { code, message } = error as NodeJS.ErrnoException
        return fail(`${what}: ${code ?? message}`)
      } finally {
        lateness.stop()
      }
    },
    close: () => Promise.resolve(),
  }
})

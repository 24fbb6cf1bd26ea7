/**
 * An MCP server, judged by what it does: it says who it is, answers, has the tools that were accepted, and carries out
 * a call. One silent ping never is a death sentence, and a server that is busy with a call is not hung.
 */
import { createHash } from 'node:crypto'
import { excerpt } from './excerpt.ts'
import { type Exchange, RpcError } from './json-rpc.ts'
import { isLoopback } from './loopback.ts'
import { noteCopies } from './mcp-copies.ts'
import { overHttp, overPipes, type Peer, startCanary } from './mcp-peers.ts'
import { isAuthProblem, type Session, StepFailure, type Timed } from './mcp-session.ts'
import {
  countTools,
  difference,
  isReadOnly,
  judgeCall,
  listTools,
  readToolSet,
  type Tool,
  toolSetOf,
} from './mcp-tools.ts'
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

const shape = ({ z, duration }: Schemas) => ({
  /** Instead of owned pipes: starts an instance of its own at each check, and ends it. */
  command: z.array(z.string()).min(1).optional(),
  /** Beside the service's variables, for `command`. */
  env: z.record(z.string(), z.string()).default({}),
  /** In place of the service's working folder, for `command`. */
  cwd: z.string().optional(),
  /** Instead of owned pipes: a server that speaks streamable HTTP. */
  url: z
    .string()
    .refine((url) => isLoopback(url, 'http:'), {
      error: 'must be an http URL of this machine (127.0.0.1, ::1, localhost)',
    })
    .optional(),
  /** For `url`, such as a token. */
  headers: z.record(z.string(), z.string()).default({}),
  /** `life` asks only whether it answers at all; it is for startup and liveness. */
  check: z.enum(['tools', 'life']).default('tools'),
  /** Names that must be among its tools. */
  tools: z.array(z.string().min(1)).optional(),
  /** One call of a tool. Only one that is marked read-only is called without `harmless`. */
  call: z
    .strictObject({
      name: z.string().min(1),
      arguments: z.record(z.string(), z.unknown()).default({}),
      /** Must be part of the result's text. */
      expect: z.string().min(1).optional(),
      harmless: z.boolean().default(false),
    })
    .optional(),
  /** A call keeps an owned server busy for this long before its silence counts. */
  busyGrace: duration.prefault('60s'),
})
type Settings = SettingsOf<typeof shape>

/** What the name of a step begins with that calls a tool. */
const CALL = 'call '

/** Handshake, ping, tools and a call, or only life; see docs/probes.md for the verdicts. */
export const mcp = defineProbe('mcp', shape, async (settings, target) => {
  const { command, env, cwd, url, headers, check: depth } = settings
  if (command !== undefined && url !== undefined)
    throw new Error('mcp takes a `command` or a `url`, not both')
  let ending: Promise<unknown> = Promise.resolve()
  /** Answers of an owned server up to the last check; others may have got more since. */
  let counted: number | null = null

  async function reach(signal: AbortSignal): Promise<Peer | null> {
    if (command !== undefined) return startCanary({ command, env, cwd }, target, signal)
    if (url !== undefined) return overHttp({ url, headers }, target, signal)
    return target.exchange === undefined ? null : overPipes(target.exchange, target)
  }

  async function judge(peer: Peer, timed: Timed, signal: AbortSignal): Promise<ProbeResult> {
    const { exchange } = peer
    // Whoever else was answered since the last check has proven its life.
    if (depth === 'life' && peer.isOwned && exchange && counted !== null && exchange.answers() > counted) {
      return pass()
    }
    const session = await peer.open(timed, signal)
    if (depth === 'life') return checkLife(session, timed, signal)
    const result = await checkTools(session, settings, target, timed, signal)
    return noteOf(result, exchange === null ? null : tellNoise(exchange, target))
  }

  return {
    async check(signal) {
      await ending
      const timed = timedSteps(target)
      let peer: Peer | null = null
      let result: ProbeResult
      try {
        peer = await reach(signal)
        if (peer === null) return unknown('the supervisor owns no pipes to this service')
        result = await judge(peer, timed, signal)
      } catch (error) {
        result = verdictOf(error, peer, settings, signal)
      }
      if (peer === null) return result
      const { exchange, isOwned } = peer
      if (isOwned && exchange) counted = exchange.answers()
      const end = isOwned ? peer.end() : timed('close', peer.end)
      ending = end.catch(() => undefined)
      // Its time is over: what is left of it is being killed while the verdict is told.
      if (signal.aborted) return result
      const ended = noteOf(result, await end)
      return command === undefined ? ended : noteOf(ended, await noteCopies(target))
    },
    close: async () => void (await ending),
  }
})

function timedSteps(target: ProbeTarget): Timed {
  return async (name, step) => {
    const begun = performance.now()
    try {
      const value = await step()
      target.step(name, performance.now() - begun)
      return value
    } catch (error) {
      target.step(name, performance.now() - begun, excerpt((error as Error).message))
      throw new StepFailure(name, error)
    }
  }
}

/**
 * What is no JSON-RPC on stdout, in words for a note. The first line is told once, since each start has other times and
 * numbers in it; what is remembered of it is a fingerprint.
 */
function tellNoise(exchange: Exchange, { memory, step, tell }: ProbeTarget): string | null {
  const { first } = exchange.noise()
  if (first === null) return null
  const words = 'noise on stdout'
  step(words, 0, first)
  const print = createHash('sha256').update(first.replace(/\d+/g, '#')).digest('hex')
  if (memory.get('noise') !== print) {
    memory.set('noise', print)
    tell('noise', `${words}: ${first}`)
  }
  return words
}

const noteOf = (result: ProbeResult, more: string | null): ProbeResult =>
  result.kind === 'pass' && more !== null
    ? pass([result.note, more].filter((part) => part !== null).join('; '))
    : result

async function checkLife(session: Session, timed: Timed, signal: AbortSignal): Promise<ProbeResult> {
  if (await timed('ping', () => session.ping(signal))) return pass()
  try {
    await timed('tools/list', () => listTools(session, signal, true))
  } catch (error) {
    // A refusal is an answer, too; whether it is a good one is for readiness to say.
    if (!((error as StepFailure).cause instanceof RpcError)) throw error
  }
  return pass()
}

async function checkTools(
  session: Session,
  { tools: expected = [], call }: Settings,
  target: ProbeTarget,
  timed: Timed,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const hasPing = await timed('ping', () => session.ping(signal))
  const tools = await timed('tools/list', () => listTools(session, signal))
  target.toolsSeen(countTools(toolSetOf(tools), readToolSet(target.memory.get('tools')), expected))
  if (tools.length === 0) return fail('tools/list: the server has no tools')
  const missing = expected.filter((name) => !tools.some((tool) => tool.name === name))
  if (missing.length > 0) return fail(`tools missing: ${missing.join(', ')}`)
  const changed = compareTools(tools, target)
  if (changed !== null) return fail(`tools changed: ${changed} (paios mcp accept ${target.service})`)
  const notes = [excerpt(session.server), tools.length === 1 ? '1 tool' : `${tools.length} tools`]
  if (!hasPing) notes.push('no ping')
  if (call === undefined) return pass(notes.join('; '))
  const { name, arguments: values, expect, harmless } = call
  const tool = tools.find((each) => each.name === name)
  if (tool === undefined) return fail(`call ${name}: there is no such tool`)
  if (!harmless && !isReadOnly(tool)) {
    return unknown(`call ${name}: the server does not mark it as read-only; say \`harmless: true\` if it is`)
  }
  const asked = { name, arguments: values }
  const ask = () => session.request('tools/call', asked, signal)
  const wrong = judgeCall(await timed(`${CALL}${name}`, ask), expect)
  return wrong === null ? pass([...notes, `${name} answered`].join('; ')) : fail(`call ${name}: ${wrong}`)
}

/** What has changed against the accepted tools; the first that were seen are accepted. Each change is told once. */
function compareTools(tools: readonly Tool[], { memory, tell }: ProbeTarget): string | null {
  const seen = toolSetOf(tools)
  const accepted = readToolSet(memory.get('tools'))
  const before = readToolSet(memory.get('tools-seen'))
  const isNew = before === null || difference(before, seen) !== null
  if (accepted === null) memory.set('tools', seen)
  if (isNew) memory.set('tools-seen', seen)
  const changed = accepted === null ? null : difference(accepted, seen)
  if (changed !== null && isNew) tell('tools-changed', `tools changed: ${changed}`)
  return changed
}

function verdictOf(
  thrown: unknown,
  peer: Peer | null,
  { busyGrace, check: depth }: Settings,
  signal: AbortSignal,
): ProbeResult {
  if (!(thrown instanceof StepFailure)) {
    if (signal.aborted) return fail('start: not finished in time')
    throw thrown
  }
  const { step, cause } = thrown
  if (isAuthProblem(cause)) {
    const words = excerpt((cause as Error).message)
    return depth === 'life' ? pass(words) : unknown(`${step}: ${words}`)
  }
  if (!signal.aborted) return fail(`${step}: ${excerpt((cause as Error).message)}`)
  const silentMs =
    peer?.isOwned && !step.startsWith(CALL) ? (peer.exchange?.silentMs('tools/call') ?? null) : null
  if (silentMs !== null && silentMs < busyGrace) {
    return depth === 'life' ? pass('busy with a call') : unknown('busy with a call')
  }
  const said = peer?.said() ?? ''
  return fail(`${step}: no answer in time${said && `: ${said}`}`)
}

/**
 * What is already on this machine, and the first document that fits it. Looking is read-only and costs
 * nothing: no program is run, no login is touched, and the only traffic is one GET on loopback per
 * candidate port. The macOS paths come from OpenClaw's own installer; they were not tried on macOS.
 */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { access, link, open, readFile, realpath, stat, unlink } from 'node:fs/promises'
import { get } from 'node:http'
import { delimiter, dirname, isAbsolute, join } from 'node:path'
import JSON5 from 'json5'
import { z } from 'zod'
import { GATEWAY_LABEL, GATEWAY_UNIT } from './boot/gateway-owner.ts'
import { errnoOf, fileError } from './errors.ts'

/** The port that OpenClaw listens on unless its config says otherwise. */
const GATEWAY_PORT = 18_789
/** A live gateway answers /healthz within milliseconds; a second is generous and still quick. */
const ANSWER_MS = 1_000

/** The real answer has 29 characters. */
const MAX_ANSWER = 4096

const PROGRAMS = ['openclaw', 'claude', 'codex'] as const
type Program = (typeof PROGRAMS)[number]

/** What discovery found. */
export type Found = {
  /** Real path of each program, null if none on PATH is a file that may be executed. */
  readonly programs: Readonly<Record<Program, string | null>>
  readonly gateway: {
    /** Where it answers, else where its config or its owner's file puts it, else 18789. */
    readonly port: number
    /** An OpenClaw gateway answered on that port. */
    readonly answering: boolean
    /** Its config file, null if there is none. */
    readonly config: string | null
    /** The launchd plist or systemd unit that starts it, null if there is none. */
    readonly owner: { readonly kind: 'launchd' | 'systemd'; readonly file: string } | null
  }
}

/**
 * Where to look: the user's home, the PATH of the operator's shell, and the environment for
 * OPENCLAW_CONFIG_PATH.
 */
export type DiscoverOptions = {
  readonly home: string
  readonly path: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Looks for the brains. Whatever cannot be read counts as not there; it never throws. */
export async function discover({ home, path, env }: DiscoverOptions): Promise<Found> {
  const found = await Promise.all(PROGRAMS.map((name) => findProgram(name, path)))
  const [openclaw = null, claude = null, codex = null] = found
  const configPath = env['OPENCLAW_CONFIG_PATH'] ?? join(home, '.openclaw', 'openclaw.json')
  const configText = await textOf(configPath)
  const owner = await findOwner(home)
  const candidates = [owner?.port ?? null, configText === null ? null : configPort(configText), GATEWAY_PORT]
  const ports = [...new Set(candidates.filter((port) => port !== null))]
  const answers = await Promise.all(ports.map(isGateway))
  const answering = ports.find((_, index) => answers[index] === true)
  return {
    programs: { openclaw, claude, codex },
    gateway: {
      port: answering ?? ports[0] ?? GATEWAY_PORT,
      answering: answering !== undefined,
      config: configText === null ? null : configPath,
      owner: owner === null ? null : { kind: owner.kind, file: owner.file },
    },
  }
}

async function findProgram(name: string, path: string): Promise<string | null> {
  for (const folder of path.split(delimiter).filter(isAbsolute)) {
    const real = await absentAsNull(realpath(join(folder, name)))
    if (real === null || !(await isExecutable(real))) continue
    return real
  }
  return null
}

async function isExecutable(file: string): Promise<boolean> {
  const facts = await absentAsNull(stat(file))
  if (facts === null || !facts.isFile()) return false
  return (await absentAsNull(access(file, constants.X_OK).then(() => true))) ?? false
}

async function findOwner(home: string) {
  const owners = [
    { kind: 'launchd', file: join(home, `Library/LaunchAgents/${GATEWAY_LABEL}.plist`) },
    { kind: 'systemd', file: join(home, `.config/systemd/user/${GATEWAY_UNIT}`) },
  ] as const
  for (const owner of owners) {
    const text = await textOf(owner.file)
    if (text === null) continue
    // In a unit the number follows the flag, in a plist the two stand in neighbouring <string> elements.
    const port = /--port(?:=|\s+|<\/string>\s*<string>)(\d{1,5})/.exec(text)?.[1]
    return { ...owner, port: port === undefined ? null : validPort(Number(port)) }
  }
  return null
}

/** The text of a regular file of at most 1 MiB; null for anything else. */
async function textOf(file: string): Promise<string | null> {
  const facts = await absentAsNull(stat(file))
  if (facts === null || !facts.isFile() || facts.size > 1024 ** 2) return null
  return await absentAsNull(readFile(file, 'utf8'))
}

/** A system error means that there is nothing here to find; any other error is ours. */
async function absentAsNull<T>(looking: Promise<T>): Promise<T | null> {
  try {
    return await looking
  } catch (error) {
    if (errnoOf(error) === null) throw error
    return null
  }
}

const openclawConfig = z.object({ gateway: z.object({ port: z.int().min(1).max(65_535) }) })

function configPort(text: string): number | null {
  try {
    const parsed = openclawConfig.safeParse(JSON5.parse(text))
    return parsed.success ? parsed.data.gateway.port : null
  } catch {
    // A config that does not parse is the gateway's own trouble; its preset's preflight reports it.
    return null
  }
}

const validPort = (port: number): number | null => (port >= 1 && port <= 65_535 ? port : null)

const healthz = z.object({ ok: z.literal(true), status: z.string() })

/** True if OpenClaw's health answer comes from this loopback port. Its other paths answer 200 with HTML. */
async function isGateway(port: number): Promise<boolean> {
  const body = await new Promise<string | null>((resolve) => {
    const signal = AbortSignal.timeout(ANSWER_MS)
    const where = { host: '127.0.0.1', port, path: '/healthz', agent: false, signal }
    const request = get(where, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
        if (text.length > MAX_ANSWER) request.destroy()
      })
      response.on('end', () => {
        resolve(response.statusCode === 200 && text.length <= MAX_ANSWER ? text : null)
      })
      response.on('error', () => resolve(null))
      response.on('close', () => resolve(null))
    })
    request.on('error', () => resolve(null))
  })
  try {
    return body !== null && healthz.safeParse(JSON.parse(body)).success
  } catch {
    // Whatever answers there, it is no gateway.
    return false
  }
}

/** What the first document may use: the argv of the shipped memory server and the file that it keeps. */
export type FirstDocumentOptions = {
  readonly memoryServer: readonly string[]
  /** Absolute path; an environment value does not expand `~/`. */
  readonly memoryFile: string
  /** Services for the MCP servers that clients have registered, as lines of the document. */
  readonly servers?: string
}

/**
 * The text of a first `paios.yaml` for what was found. Valid, commented, and it starts nothing that runs
 * already.
 */
export function firstDocument(found: Found, options: FirstDocumentOptions): string {
  const { programs, gateway } = found
  const hasBrain = Object.values(programs).some((path) => path !== null)
  const isEmpty = !hasBrain && !gateway.answering && gateway.owner === null && !options.servers
  const parts = [
    HEAD,
    gatewayPart(found),
    isEmpty ? memoryPart(options) : '',
    brainsPart(found),
    options.servers ?? '',
    examplePart(),
  ]
  return parts.filter((part) => part !== '').join('\n')
}

const HEAD = `# The mesh: everything that PAIOS keeps alive on this machine.
# Edit it, look with \`paios check\`, apply with \`paios up\` (\`paios up --dry-run\` only shows the plan).
version: 1

services:`

function gatewayPart({ programs, gateway }: Found): string {
  const port = `    port: ${gateway.port}\n`
  if (gateway.answering || gateway.owner !== null) {
    const { owner } = gateway
    const by = owner === null ? '' : `, started by ${owner.kind} (${inComment(owner.file)})`
    const state = gateway.answering ? 'was already running' : 'is installed as a service and was not running'
    const hand =
      owner === null
        ? 'stop it where it was started, write `observe: false`, then `paios up`'
        : '`paios takeover gateway`; `paios release gateway` gives it back'
    return `  # The OpenClaw gateway ${state}${by}.
  # With \`observe: true\` PAIOS watches it and neither starts nor stops it. To hand it over:
  # ${hand}.
  gateway:
    preset: openclaw-gateway
    observe: true
${port}`
  }
  if (programs.openclaw === null) {
    return `  # OpenClaw is not installed: \`paios status\` shows the gateway as absent. After
  # \`npm install -g openclaw\` PAIOS finds it by itself.
  gateway:
    preset: openclaw-gateway
`
  }
  const setup =
    gateway.config === null
      ? '\n  # It has no configuration yet: run `openclaw onboard`, until then it is shown as blocked.'
      : ''
  return `  # The OpenClaw gateway: PAIOS starts it, watches it and restarts it.${setup}
  gateway:
    preset: openclaw-gateway
${port}`
}

function memoryPart({ memoryServer, memoryFile }: FirstDocumentOptions): string {
  return `  # A small MCP server that comes with PAIOS, so that there is something to see. Delete it at will.
  memory:
    preset: mcp-stdio
    serve: true # keep one running, instead of trying it out now and then
    command:
${memoryServer.map((word) => `      - ${JSON.stringify(word)}\n`).join('')}    env:
      MEMORY_FILE_PATH: ${JSON.stringify(memoryFile)}
`
}

function examplePart(): string {
  return `  # A program of yours. A command is a list, never a shell line; \`~/\` is your home.
  # notes:
  #   command: [python3, ~/notes/server.py]
  #   needs: [gateway] # start after the gateway is ready
`
}

const BRAINS = [
  { program: 'claude', preset: 'claude-code', name: 'Claude Code' },
  { program: 'codex', preset: 'codex', name: 'Codex' },
] as const

/** Brains that people start themselves: they are watched from the first day. */
function brainsPart({ programs }: Found): string {
  const parts = BRAINS.flatMap(({ program, preset, name }) => {
    const path = programs[program]
    if (path === null) return []
    return `  # ${name} (${inComment(path)}), which you start yourself.
  # PAIOS tries out every 15 minutes, in an empty home, whether it still starts, and looks at its configuration
  # and the date of its login.
  ${program}:
    preset: ${preset}
`
  })
  return parts.join('\n')
}

/** A path may hold a line break, which would end the comment. */
const inComment = (path: string): string => path.replace(/\p{C}/gu, '?')

/**
 * Creates a document with this text, 0600, whole or not at all. False if something of that name exists, which
 * is left as it is. Throws PaiosError `home-unwritable` or `disk-full`.
 */
export async function createDocument(path: string, text: string): Promise<boolean> {
  const draft = join(dirname(path), `.paios.yaml.${randomBytes(6).toString('hex')}`)
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    // A link fails if the name exists, where a rename would replace it.
    await link(draft, path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw fileError(`create ${path}`, error)
  } finally {
    await absentAsNull(unlink(draft))
  }
}

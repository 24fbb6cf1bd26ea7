/** The real OpenClaw gateway under a real supervisor, and the strangers that the tests put in its way. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import type { ServiceStatus, Status } from '../../schemas/status.ts'
import { brainPath, type GatewayHome, gatewayHome, installBrains } from '../brains.ts'
import { createMesh, type Ended, kill, type TestMesh, until } from './mesh.ts'

/** A start takes 10 CPU-seconds, and several run at the same time on two cores. */
export const START_LIMIT_MS = 180_000

/** Variables by which OpenClaw would think that launchd, systemd or its own installer runs it. */
export const FOREIGN_MARKERS: Readonly<Record<string, string>> = {
  OPENCLAW_SERVICE_MARKER: 'openclaw',
  OPENCLAW_SERVICE_KIND: 'gateway',
  OPENCLAW_LAUNCHD_LABEL: 'ai.openclaw.gateway',
  OPENCLAW_SYSTEMD_UNIT: 'openclaw-gateway.service',
  LAUNCH_JOB_LABEL: 'ai.openclaw.gateway',
  XPC_SERVICE_NAME: 'ai.openclaw.gateway',
  INVOCATION_ID: '0123456789abcdef0123456789abcdef',
  SYSTEMD_EXEC_PID: '1',
  JOURNAL_STREAM: '8:1',
}

/** One mesh with one gateway in it. */
export type GatewayMesh = {
  readonly mesh: TestMesh
  readonly gw: GatewayHome
  /** Writes paios.yaml with the gateway as its only service; `settings` over the usual ones. */
  declare(settings?: Readonly<Record<string, unknown>>): Promise<void>
  /** A command of the operator, whose home is the gateway's. */
  paios(...args: string[]): Promise<Ended>
  gateway(): Promise<ServiceStatus>
  /** Waits for the gateway; 180 s unless told. */
  untilGateway(
    what: string,
    holds: (service: ServiceStatus) => boolean,
    limitMs?: number,
  ): Promise<ServiceStatus>
  /** The texts of the gateway's journal events, oldest first. */
  told(): Promise<string[]>
  /** What this gateway wrote, all lives. */
  log(): string
  end(): Promise<void>
}

/** Makes a home for a gateway and a mesh around it. Nothing runs yet. */
export async function createGatewayMesh(gw?: GatewayHome): Promise<GatewayMesh> {
  const home = gw ?? (await gatewayHome())
  const mesh = createMesh()
  const gatewayOf = (status: Status) => {
    const found = status.services.find((service) => service.name === 'gateway')
    if (!found) throw new Error('status has no gateway')
    return found
  }
  const gateway = async () => gatewayOf(await mesh.status())
  return {
    mesh,
    gw: home,
    gateway,
    async declare(settings = {}) {
      const service = {
        preset: 'openclaw-gateway',
        port: home.port,
        program: await installBrains(),
        // The tag lets the mesh find every process that the gateway starts.
        env: { PATH: brainPath(), MESH_TAG: `${mesh.home}/gateway.tag` },
        ...settings,
      }
      const document = { version: 1, metrics: { enabled: false }, services: { gateway: service } }
      writeFileSync(join(mesh.home, 'paios.yaml'), JSON.stringify(document, null, 2), { mode: 0o600 })
    },
    paios: (...args) => mesh.cli(args, { ...FOREIGN_MARKERS, HOME: home.home }),
    untilGateway: (what, holds, limitMs = START_LIMIT_MS) => {
      let last: ServiceStatus | null = null
      const look = async () => {
        last = await gateway().catch(() => null)
        return last !== null && holds(last) ? last : null
      }
      return until(what, look, limitMs).catch((error: Error) => {
        throw new Error(`${error.message}; last seen: ${JSON.stringify(last)}`)
      })
    },
    told: async () => (await mesh.events({ service: 'gateway' })).map((event) => event.text),
    log: () => readFileSync(join(mesh.home, 'logs', 'gateway', 'current.log'), 'utf8'),
    async end() {
      await mesh.end()
      if (gw === undefined) await home.remove()
    },
  }
}

/** True once it runs, is ready and has nothing to complain about. */
export const isWell = ({ state, ready, reason }: ServiceStatus): boolean =>
  state === 'running' && ready && reason === null

/** A program that the mesh does not know. */
export type Stranger = { readonly pid: number; end(signal?: NodeJS.Signals): Promise<void> }

/** Starts a stranger and waits until it prints a line. */
export async function startStranger(script: string, ...args: string[]): Promise<Stranger> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, '--', ...args], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return strangerOf(child)
}

/** Wraps a process that the test itself started. */
export function strangerOf(child: ChildProcess): Stranger {
  const { pid } = child
  if (pid === undefined) throw new Error('the stranger did not start')
  const ended = once(child, 'exit')
  return {
    pid,
    async end(signal = 'SIGKILL') {
      kill(pid, signal)
      await ended
    },
  }
}

/** The steps of one story. When one fails the later ones are not tried: each begins where the last one ended. */
export function createStory(): (name: string, tell: () => Promise<void>) => void {
  let isBroken = false
  return (name, tell) => {
    it(name, async (t) => {
      if (isBroken) return t.skip('an earlier step failed')
      isBroken = true
      await tell()
      isBroken = false
    })
  }
}

/** What presets of programs that listen on a loopback port have in common. */
import { z } from 'zod'
import type { ServiceSpecInput } from '../schemas/service.ts'

type Probes = NonNullable<ServiceSpecInput['probes']>
/** An http probe without its role and name: what several probes of one page have in common. */
export type Page = Omit<Extract<Probes[number], { kind: 'http' }>, 'role' | 'name'>
type Made = Omit<ServiceSpecInput, 'name' | 'preset'>

/** A TCP port. */
export const portNumber = z.int().min(1).max(65_535)

/** Where a program listens. Its probes use 127.0.0.1, which both reach; 0.0.0.0 opens it to the network. */
export const listenHost = z.enum(['127.0.0.1', '0.0.0.0'])

/** A folder or file in a setting: absolute, or below the home. */
export const homePath = z.string().regex(/^~?\/./, 'expected an absolute path or one that begins with ~/')

/** A leading `~/` as the home, for environment values, which the document reader leaves alone. */
export const absolute = (path: string, home: string): string => path.replace(/^~\//, `${home}/`)

/** Blocks a start while a stranger listens on the port, and names it; a standing warning while it runs. */
export const portFree = (port: number, name = 'port-free'): Probes[number] => ({
  kind: 'port',
  name,
  role: 'preflight',
  port,
  expect: 'free',
  every: '1m',
  timeout: '10s',
})

/**
 * The spec as it is, or, where another manager runs the program, as one that is only probed: what its log and its
 * start would tell is not to be had then.
 */
export function observedIf(observe: boolean, spec: Made): Made {
  if (!observe) return spec
  const { probes = [], ports, runbook } = spec
  const seen = probes.filter(
    ({ kind, role }) => kind !== 'log' && (role === 'readiness' || role === 'liveness'),
  )
  return { kind: 'external', command: null, probes: seen, ...(ports ? { ports } : {}), runbook }
}

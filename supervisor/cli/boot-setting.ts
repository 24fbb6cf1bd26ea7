/**
 * What install, uninstall and upgrade hand to their steps: this home's place, the way to its supervisor, a
 * keeper.
 */
import type { Setting } from '../boot/install.ts'
import { PaiosError } from '../errors.ts'
import { call } from './client.ts'
import type { Invocation } from './command.ts'

/** The setting of a command. With `--json` the steps are not told. Throws init-unavailable. */
export async function bootSetting(invocation: Invocation): Promise<Setting> {
  const { home, entry, out, json } = invocation
  const [{ placeOf }, { openInit }, { bootSupervisor }] = await Promise.all([
    import('../boot/place.ts'),
    import('../boot/init-port.ts'),
    import('./boot.ts'),
  ])
  const place = placeOf(home)
  return {
    place,
    init: await openInit(place),
    answering: () => answering(home),
    program: { node: process.execPath, entry },
    keep: (program) => bootSupervisor(home, program.entry, null, program.node),
    tell: (line) => (json ? undefined : out(`${line}\n`)),
  }
}

/** The supervisor that answers, null if none does. */
export async function answering(home: string): Promise<{ pid: number; version: string } | null> {
  try {
    return await call<{ pid: number; version: string }>(home, 'GET', '/version')
  } catch (error) {
    if (error instanceof PaiosError && error.code === 'no-supervisor') return null
    throw error
  }
}

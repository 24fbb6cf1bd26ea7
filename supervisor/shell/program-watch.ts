/**
 * Programs that change on disk while they run: an upgrade takes force with the next start only, and until then what
 * runs is not what is installed. Looked at is what the command runs, and nothing that it only reads.
 */
import { realpathSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import type { ServiceSpec } from '../../schemas/service.ts'
import { resolveProgram, servicePath } from './environment.ts'
import { ranBy } from './script-operand.ts'
import { expandHome } from './secrets.ts'

type Stamps = ReadonlyMap<string, string>
type Watched = { readonly spec: ServiceSpec; stamps: Stamps }

export type ProgramWatch = {
  /** From now on it counts as started with what is on disk now. */
  started(service: string, spec: ServiceSpec): void
  forget(service: string): void
  look(): void
}

/** `changed` is told once for each change, with the file. */
export function openProgramWatch(changed: (service: string, file: string) => void): ProgramWatch {
  const watched = new Map<string, Watched>()
  return {
    started: (service, spec) => void watched.set(service, { spec, stamps: stampsOf(spec) }),
    forget: (service) => void watched.delete(service),
    look() {
      for (const [service, one] of watched) {
        const now = stampsOf(one.spec)
        const file = [...now].find(([path, stamp]) => one.stamps.get(path) !== stamp)?.[0]
        // In the middle of an upgrade a file is missing for a moment: then it is looked at again later.
        if (file === undefined || now.size < one.stamps.size) continue
        one.stamps = now
        changed(service, file)
      }
    },
  }
}

/** Identity, size and time of each file that a command runs, under the path by which it is called. */
function stampsOf(spec: ServiceSpec): Stamps {
  const [program = '', ...args] = spec.command ?? []
  const { programs, script, folder } = ranBy([program, ...args])
  const own = expandHome(spec.cwd ?? spec.env['HOME'] ?? homedir())
  const place = folder === null ? own : resolve(own, expandHome(folder))
  const called = [spec, ...programs.map((word) => ({ ...spec, cwd: place, command: [word] }))]
  const found = called.map((one) => resolveProgram(one, spec.env['PATH'] ?? servicePath()))
  const files = found.flatMap((one) => (one.kind === 'found' ? [one.path] : []))
  if (script !== null) files.push(resolve(place, expandHome(script)))
  return new Map(files.flatMap((path) => stampOf(path)))
}

function stampOf(path: string): [string, string][] {
  try {
    const { dev, ino, size, mtimeNs, mode } = statSync(path, { bigint: true })
    const isFile = (mode & 0o170_000n) === 0o100_000n
    return isFile ? [[path, `${realpathSync(path)} ${dev} ${ino} ${size} ${mtimeNs}`]] : []
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
    return []
  }
}

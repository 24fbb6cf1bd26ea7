/** The fake kernel: pids that are used again, leaders, descendants that outlive them, signals that do not work. */
import type { Exit, Identity, Process } from '../../supervisor/core/state.ts'
import type { Dice } from './dice.ts'

/** One process of the world. Times are awake milliseconds. */
export type Proc = {
  readonly pid: number
  readonly start: string
  readonly boot: string
  readonly service: string
  readonly run: string
  readonly generation: number
  readonly isLeader: boolean
  readonly ownsPipes: boolean
  readonly drainMs: number
  isAlive: boolean
  /** How it ended; null while it lives. */
  exit: Exit | null
  /** The supervisor has named it as left over: it may live on. */
  isNamed: boolean
  /** Startup and readiness pass from here on. */
  readyAt: number
  /** Its startup probe says that the start goes on. */
  isProgressing: boolean
  /** Liveness fails until here. */
  hungUntil: number
  /** Readiness fails until here. */
  notReadyUntil: number
  ignoresTerm: boolean
  /** SIGKILL has no effect before (a process in uninterruptible sleep). */
  stubbornUntil: number
}

/** Few pids, so that they are used again soon. */
const PIDS = 2_000

/** Every process there is; pids of strangers are only marked as taken. */
export class ProcessTable {
  readonly #dice: Dice
  readonly #byPid = new Map<number, Proc | 'stranger'>()
  readonly #byService = new Map<string, Set<Proc>>()
  #next = 100
  #start = 1
  boot = 'boot-1'

  constructor(dice: Dice) {
    this.#dice = dice
  }

  /** The living processes of a service. */
  of(service: string): ReadonlySet<Proc> {
    let set = this.#byService.get(service)
    if (!set) {
      set = new Set()
      this.#byService.set(service, set)
    }
    return set
  }

  /** All living processes. */
  *all(): Generator<Proc> {
    for (const set of this.#byService.values()) yield* set
  }

  /** The living leader of one generation. */
  leader(service: string, generation: number): Proc | undefined {
    for (const proc of this.of(service)) if (proc.isLeader && proc.generation === generation) return proc
    return undefined
  }

  /** Makes a process. */
  add(over: Omit<Proc, 'pid' | 'start' | 'boot' | 'isAlive' | 'isNamed' | 'exit'>): Proc {
    while (this.#byPid.has(this.#next)) this.#next = 100 + ((this.#next - 99) % PIDS)
    const pid = this.#next
    this.#next = 100 + ((pid - 99) % PIDS)
    const proc: Proc = {
      ...over,
      pid,
      start: String(this.#start++),
      boot: this.boot,
      isAlive: true,
      isNamed: false,
      exit: null,
    }
    this.#byPid.set(pid, proc)
    ;(this.of(over.service) as Set<Proc>).add(proc)
    return proc
  }

  /** Ends a process; sometimes a stranger gets its pid at once. */
  remove(proc: Proc): void {
    proc.isAlive = false
    this.#byPid.delete(proc.pid)
    ;(this.of(proc.service) as Set<Proc>).delete(proc)
    if (this.#byPid.size < PIDS / 2 && this.#dice.chance(0.2)) this.#byPid.set(proc.pid, 'stranger')
    else if (this.#byPid.get(this.#next) === 'stranger') this.#byPid.delete(this.#next)
  }

  /** The process with this identity, or who has its pid now, or nobody. */
  find({ pid, start, boot }: Identity): Proc | 'stranger' | null {
    if (boot !== this.boot) return null
    const found = this.#byPid.get(pid)
    if (found === undefined) return null
    return found !== 'stranger' && found.start === start ? found : 'stranger'
  }

  /** The living process of a recorded life, null if it is gone. */
  lifeOf({ identity }: Process): Proc | null {
    const found = this.find(identity)
    return found === 'stranger' ? null : found
  }

  /** The oldest living process of a service with this marker: its leader, or one that the leader started. */
  marked(service: string, run: string, isLeader: boolean): Proc | null {
    for (const proc of this.of(service)) if (proc.run === run && proc.isLeader === isLeader) return proc
    return null
  }

  /** The machine starts anew: nothing lives. */
  reboot(): void {
    for (const set of this.#byService.values()) {
      for (const proc of set) proc.isAlive = false
      set.clear()
    }
    this.#byPid.clear()
    this.boot = `boot-${Number(this.boot.slice(5)) + 1}`
  }
}

/** The identity that the shell would read of this process. */
export function identityOf({ boot, pid, start }: Proc): Identity {
  return { boot, pid, start }
}

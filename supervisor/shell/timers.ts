/** The core's timers on the awake clock: one per service and name, set again replaces. */
import type { TimerName } from '../core/state.ts'
import type { Clock } from './clock.ts'

/** Node's longest timeout. */
const LONGEST_MS = 2_147_483_000

export type Timers = {
  set(service: string, timer: TimerName, token: number, at: number): void
  cancel(service: string, timer: TimerName): void
  close(): void
}

/** Timers that call `fired` with the token they were set with. */
export function createTimers(
  clock: Clock,
  fired: (service: string, timer: TimerName, token: number) => void,
): Timers {
  const running = new Map<string, NodeJS.Timeout>()
  const arm = (key: string, at: number, fire: () => void) => {
    const inMs = Math.min(Math.max(0, at - clock.awake()), LONGEST_MS)
    const handle = setTimeout(() => {
      if (clock.awake() < at - 1) return arm(key, at, fire)
      running.delete(key)
      fire()
    }, inMs)
    running.set(key, handle)
  }
  const cancel = (key: string) => {
    clearTimeout(running.get(key))
    running.delete(key)
  }
  return {
    set(service, timer, token, at) {
      const key = `${service} ${timer}`
      cancel(key)
      arm(key, at, () => fired(service, timer, token))
    },
    cancel: (service, timer) => cancel(`${service} ${timer}`),
    close() {
      for (const handle of running.values()) clearTimeout(handle)
      running.clear()
    },
  }
}

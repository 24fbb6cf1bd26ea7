/** Commands that wait for the core's answer. */
import type { Accepted } from './api.ts'

/** Requests that wait for their answers. */
export type Requests = ReturnType<typeof openRequests>

/** Opens the list of those that wait. */
export function openRequests() {
  const waiting = new Map<number, { resolve(value: Accepted): void; reject(error: Error): void }>()
  let next = 1
  const take = (request: number) => {
    const found = waiting.get(request)
    waiting.delete(request)
    return found
  }
  return {
    open: (ask: (request: number) => void) =>
      new Promise<Accepted>((resolve, reject) => {
        const request = next++
        waiting.set(request, { resolve, reject })
        ask(request)
      }),
    answer: (request: number, accepted: Accepted) => take(request)?.resolve(accepted),
    refuse: (request: number, error: Error) => take(request)?.reject(error),
  }
}

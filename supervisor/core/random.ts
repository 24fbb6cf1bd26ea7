/**
 * Randomness as data: xoshiro128** (Blackman and Vigna, public domain) over a state that the mesh carries.
 */

/** Four 32-bit words, not all zero. */
export type RandomState = readonly [number, number, number, number]

const rotate = (x: number, k: number) => ((x << k) | (x >>> (32 - k))) >>> 0

/** The next number in [0, 1) and the state after it. */
export function nextRandom([a, b, c, d]: RandomState): { value: number; state: RandomState } {
  const result = Math.imul(rotate(Math.imul(b, 5) >>> 0, 7), 9) >>> 0
  const t = (b << 9) >>> 0
  let [e, f, g, h] = [a, b, (c ^ a) >>> 0, (d ^ b) >>> 0]
  f = (f ^ g) >>> 0
  e = (e ^ h) >>> 0
  g = (g ^ t) >>> 0
  h = rotate(h, 11)
  return { value: result / 0x1_0000_0000, state: [e, f, g, h] }
}

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** A ULID: 48 bits of `wall` (Unix milliseconds) and 80 random bits taken from `draw` (numbers in [0, 1)). */
export function ulid(wall: number, draw: () => number): string {
  let text = ''
  let rest = Math.floor(wall)
  for (let i = 0; i < 10; i++) {
    text = CROCKFORD[rest % 32] + text
    rest = Math.floor(rest / 32)
  }
  for (let i = 0; i < 16; i++) text += CROCKFORD[Math.floor(draw() * 32)]
  return text
}

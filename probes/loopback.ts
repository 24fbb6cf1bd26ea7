/** True for a URL of this scheme (such as `http:`) on this machine: no check leaves it. */
export function isLoopback(url: string, scheme: string): boolean {
  const parsed = URL.parse(url)
  return parsed?.protocol === scheme && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(parsed.hostname)
}

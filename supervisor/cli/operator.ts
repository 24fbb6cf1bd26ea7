/** Who asks, for the record. */
import { userInfo } from 'node:os'

/** `me at a terminal` */
export const whoAmI = (): string => `${userInfo().username} at a terminal`

import { classNames } from "./class-names.ts";

export interface AvatarProps {
  name: string;
  src?: string | null;
  size?: "sm" | "md" | "lg";
}

const SIZES = { sm: "size-8 text-xs", md: "size-9 text-sm", lg: "size-16 text-2xl" };

/** The picture, or the first letter of the name; the name itself stands beside it or labels its button. */
export function Avatar({ name, src, size = "md" }: AvatarProps) {
  const shape = classNames("inline-flex shrink-0 items-center justify-center overflow-hidden rounded-full font-semibold", SIZES[size]);
  if (src) return <img src={src} alt="" className={classNames(shape, "object-cover")} />;
  const first = Array.from(name.trim())[0] ?? "?";
  return (
    <span aria-hidden="true" className={classNames(shape, "bg-accent-soft text-accent-text")}>
      {first.toUpperCase()}
    </span>
  );
}
